"""One owner per data directory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.errors import Conflict
from ingest.owner import DataDirectory

OWNER = """
import sys
from pathlib import Path
from ingest.owner import DataDirectory
held = DataDirectory(Path(sys.argv[1])).own()
if len(sys.argv) > 2:
    held.announce(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_owner(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that owns the directory and serves at http://there."""
    command = [sys.executable, "-c", OWNER, str(tmp_path), "http://there"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_where(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    """The error names the address of the owner."""
    with pytest.raises(Conflict, match="http://there"):
        DataDirectory(tmp_path).own()
    assert DataDirectory(tmp_path).owner_url() == "http://there"


def test_a_killed_owner_leaves_the_directory_free(tmp_path: Path, other_owner: subprocess.Popen[bytes]) -> None:
    """Its note stays behind, and is not believed."""
    other_owner.send_signal(signal.SIGKILL)
    other_owner.wait()
    assert (tmp_path / "owner.json").exists()
    assert DataDirectory(tmp_path).owner_url() is None
    with DataDirectory(tmp_path).own():
        assert not (tmp_path / "owner.json").exists()


def test_the_url_is_known_only_while_the_directory_is_held(tmp_path: Path) -> None:
    """Before the announcement and after the release there is none."""
    directory = DataDirectory(tmp_path / "new")
    assert directory.owner_url() is None
    with directory.own() as ownership:
        assert DataDirectory(directory.path).owner_url() is None
        ownership.announce("http://here")
        assert DataDirectory(directory.path).owner_url() == "http://here"
    assert directory.owner_url() is None


def test_one_process_owns_a_directory_once(tmp_path: Path) -> None:
    """A second service in the same process is refused as well."""
    with DataDirectory(tmp_path).own(), pytest.raises(Conflict, match="in use"):
        DataDirectory(tmp_path).own()
    with DataDirectory(tmp_path).own():
        pass
