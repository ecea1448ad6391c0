"""The real thing, killed: `citewell serve` with its own parsers and models, while files are uploaded to it."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.bootstrap import open_service
from api.doctor.consistency import check_consistency
from api.settings import Settings
from ingest.owner import DataDirectory
from tests.ingest.support import wait_for
from tests.torture.deeds import JOURNAL, Journal, open_jobs
from tests.torture.promises import check_promises, read_promises
from tests.torture.test_crash import check_jobs, check_originals, check_versions, upload_over_http

_READY_S = 300.0
_LIVES = 4
"""A job under way at five stops would be given up, as it should."""


@contextmanager
def served(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that is ready; killed at the end."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--data-dir", str(data_dir)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, env={**os.environ, "CITEWELL_CHUNK_TOKENS": "32"}) as process:
        try:
            wait_until_ready(data_dir)
            yield process
        finally:
            process.kill()


def wait_until_ready(data_dir: Path) -> None:
    give_up = time.monotonic() + _READY_S
    while time.monotonic() < give_up:
        url = DataDirectory(data_dir).owner_url()
        with contextlib.suppress(httpx.TransportError):  # it says where it will be before it is there
            if url is not None and httpx.get(f"{url}/readyz", timeout=5).is_success:
                return
        time.sleep(0.1)
    raise AssertionError(f"the server was not ready after {_READY_S:g} s")


def test_a_killed_server_loses_nothing(tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some lives, each ended by SIGKILL during uploads; what was answered with 202 is there in the end."""
    if kills <= 12:
        pytest.skip("a server with real models takes long to start: `make torture` kills one")
    chance = random.Random(20260303)  # noqa: S311 - chance, not secrets
    data_dir, journal = tmp_path / "data", Journal(tmp_path / JOURNAL)
    for _ in range(_LIVES):
        with served(data_dir) as process:
            killer = threading.Timer(chance.uniform(0.3, 4.0), process.kill)
            killer.start()
            upload_over_http(data_dir, chance, journal)
            killer.join()
    monkeypatch.setattr("tests.ingest.support.WAIT_S", _READY_S)
    check_what_is_left(Settings(data_dir=data_dir, chunk_tokens=32))


def check_what_is_left(settings: Settings) -> None:
    """Everything that was promised, and a doctor who finds nothing."""
    with open_service(settings) as service:
        service.runner.notify()
        wait_for(lambda: not open_jobs(service))
        with service.catalogue.read() as connection:
            check_versions(connection)
            check_jobs(connection)
            check_originals(connection, service)
            check_promises(connection, read_promises(settings.data_dir.parent / JOURNAL))
        collection = service.collections.get("default")
        assert service.indexes.audit(collection.pk, collection.live_generation).agrees
        checks = check_consistency(service.catalogue, service.blobs, settings.data_dir / "indexes", serving=False)
    assert [(one.name, one.detail) for one in checks if one.state != "ok"] == []
