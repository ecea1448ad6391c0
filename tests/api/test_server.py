"""Binding, announcing, refusing to open up, samples, and stopping on a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from api.bootstrap import Service, open_service
from api.keys import Keys
from api.samples import submit_samples
from api.server import bind, require_keys, url_of
from api.settings import Settings
from ingest.errors import Conflict, InvalidInput
from tests.api.live import running
from tests.fakes import HashingEncoder

SERVE = """
import gc
import sys
from pathlib import Path
from api import bootstrap, server
from api.settings import Settings
from tests.fakes import HashingEncoder

bootstrap.load_encoder = lambda settings: lambda name, revision: HashingEncoder(name, revision)
server.serve(Settings(data_dir=Path(sys.argv[1]), port=0))
print("closed", "frozen" if gc.get_freeze_count() else "")
"""


def test_the_owner_says_where_it_serves(service: Service) -> None:
    """Other processes find the URL in the data directory."""
    with running(service) as url:
        assert json.loads((service.settings.data_dir / "owner.json").read_text())["url"] == url
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_an_address_that_cannot_be_had_is_explained() -> None:
    """Taken, or unknown."""
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener, "localhost") == f"http://localhost:{port}"
        assert url_of(listener, "0.0.0.0") == f"http://127.0.0.1:{port}"
        with pytest.raises(Conflict, match="another --port"):
            bind("127.0.0.1", port)
    with pytest.raises(InvalidInput, match="unknown"):
        bind("no.such.host.invalid", 0)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Connections send what they have at once (TCP_NODELAY), whatever the event loop does."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_beyond_loopback_a_key_is_needed(tmp_path: Path) -> None:
    """Without one it refuses to start; with one it starts, and asks for it."""
    settings = Settings(data_dir=tmp_path / "data", host="0.0.0.0")
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        with pytest.raises(InvalidInput, match="citewell keys create"):
            require_keys(service)
        with running(service) as url:
            assert httpx.get(f"{url}/v1/collections").status_code == 401
        Keys(service.catalogue).create("ops", scopes=["admin"])
        require_keys(service)


def test_samples_are_taken_in_once(service: Service, tmp_path: Path) -> None:
    """With their metadata; unchanged files cost nothing, a changed one is replaced."""
    folder = tmp_path / "documents"
    (folder / "board").mkdir(parents=True)
    (folder / "board/memo.md").write_text("# Memo")
    (folder / "note.txt").write_text("A note.")
    (tmp_path / "documents-metadata.json").write_text('{"board/memo.md": {"authority": "board"}}')
    assert submit_samples(service, folder) is not None
    collection = service.collections.get("default")
    assert service.documents.get(collection, "board/memo.md").metadata == {"authority": "board"}
    assert submit_samples(service, folder) is None
    (folder / "note.txt").write_text("Another note.")
    job_id = submit_samples(service, folder)
    assert job_id is not None
    assert [part.document_id for part in service.jobs.documents(job_id)[0]] == ["note.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_everything(tmp_path: Path, number: signal.Signals) -> None:
    """The process ends by itself, having given the data directory back."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    note = tmp_path / "owner.json"
    deadline = time.monotonic() + 120
    while not note.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    url = json.loads(note.read_text())["url"]
    while True:
        try:
            assert httpx.get(f"{url}/healthz", timeout=30).status_code == 200
            break
        except httpx.ConnectError:
            assert time.monotonic() < deadline
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output.strip()) == (0, "closed frozen")
    assert not note.exists()
