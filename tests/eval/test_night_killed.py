"""A nightly run whose process is killed goes on where it was."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.eval.night_child import REPEATS

ROOT = Path(__file__).resolve().parents[2]
ASKS = 3 * REPEATS


def start(data_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.eval.night_child", str(data_dir)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def rows_in(data_dir: Path) -> list[int]:
    """Keys of the rows so far; empty while there is no catalogue."""
    path = data_dir / "catalogue.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return [pk for (pk,) in connection.execute("select pk from evaluation_rows order by pk")]
    except sqlite3.OperationalError:
        return []


def test_a_killed_night_keeps_its_rows_and_asks_the_rest(tmp_path: Path) -> None:
    """SIGKILL amid the asks; the next process ends the same run, with every ask once and no row redone."""
    data_dir = tmp_path / "data"
    with start(data_dir) as process:
        deadline = time.monotonic() + 60
        while len(rows_in(data_dir)) < 10 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    kept = rows_in(data_dir)
    assert 10 <= len(kept) < ASKS
    with start(data_dir) as process:
        told = process.communicate(timeout=120)[0].split()
    assert told[1:] == ["succeeded", str(ASKS)]
    assert rows_in(data_dir)[: len(kept)] == kept
