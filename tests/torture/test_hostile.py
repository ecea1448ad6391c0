"""Hostile files beside sound ones: each costs its own document a clear error, and nothing else.

`make torture` sends them in full size to a service with its default limits.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.language import detect_language
from retrieve.analysis import analyse_document
from tests.fakes import HashingEncoder
from tests.ingest.support import finished, search, submit, upload
from tests.torture.hostile import FILES, FULL, SMALL, Scale, referring

GOOD = {f"good-{number}.txt": f"Sound document {number} says that ferries leave at nine.".encode() for number in (1, 2)}
LIMITS = {
    "parse_decompressed_max_bytes": 2 << 20,
    "parse_pages_max": 100,
    "parse_text_max_chars": 1_000_000,
    "attachments_max": 50,
}
_LOG = logging.getLogger(__name__)
GROWTH_MAX_BYTES = 200 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """The largest resident set of this process while it is watched, in bytes beyond what it was."""

    def __init__(self) -> None:
        self.before = self.most = _resident_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.most - self.before

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self.most = max(self.most, _resident_bytes())


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


@pytest.fixture
def full_size(kills: int) -> bool:
    """Whether this is `make torture`."""
    return kills > 12


@pytest.fixture
def strict_service(tmp_path: Path, full_size: bool) -> Iterator[Service]:
    """A service with real parsers; with tight limits, unless the files come in full size."""
    settings = Settings(data_dir=tmp_path / "data", **({} if full_size else LIMITS))
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as opened:
        yield opened


def outcomes(service: Service) -> dict[str, str]:
    """Status, or the code of the error, of each document."""
    records, following = service.documents.list(service.collections.get("default"), limit=1_000)
    assert following is None
    return {one.document_id: one.error_code or one.status for one in records}


def test_each_hostile_file_costs_its_own_document_only(
    strict_service: Service,
    full_size: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All in one job with sound documents; the memory of the service stays bounded, whatever the files hold."""
    scale: Scale = FULL if full_size else SMALL
    monkeypatch.setattr("tests.ingest.support.WAIT_S", 1_800 if full_size else 100)
    uploads = [upload(strict_service, name, data) for name, data in GOOD.items()]
    uploads[1:1] = [upload(strict_service, name, make(scale)) for name, (make, _) in FILES.items()]
    collection = strict_service.collections.get("default")
    analyse_document("渡轮 ferry")  # what is loaded once, is loaded
    detect_language("The last ferry leaves the harbour at nine.")
    with Memory() as memory:
        submission = strict_service.documents.submit(collection, uploads, key_id=None)
        strict_service.runner.notify()
        job = finished(strict_service, submission.job_id)
    assert job.state == "partial"
    found = outcomes(strict_service)
    assert {name: found[name] for name in FILES} == {name: expected for name, (_, expected) in FILES.items()}
    assert [found[name] for name in GOOD] == ["ready", "ready"]
    assert {hit.document_id for hit in search(strict_service, "when do ferries leave", top_k=3)} >= set(GOOD)
    _LOG.info("the service grew by %s MiB", memory.growth >> 20)
    assert memory.growth < GROWTH_MAX_BYTES


def test_mails_in_mails_end_at_a_depth(strict_service: Service) -> None:
    """Ten levels are documents of their own; what lies deeper is named and refused."""
    finished(strict_service, submit(strict_service, {"mails.eml": FILES["mails.eml"][0](SMALL)}).job_id)
    found = outcomes(strict_service)
    assert len(found) == 12
    assert sorted(found.values()) == ["ready"] * 11 + ["too_large"]


def test_names_that_climb_stay_inside(strict_service: Service) -> None:
    """The attachment's id is its plain name, and nothing is written outside of the data directory."""
    finished(strict_service, submit(strict_service, {"m.eml": FILES["climbing.eml"][0](SMALL)}).job_id)
    assert outcomes(strict_service) == {"m.eml": "ready", "m.eml/climbed.txt": "ready"}
    assert not Path("/etc/cron.d/climbed.txt").exists()


def test_nothing_that_documents_refer_to_is_fetched(strict_service: Service) -> None:
    """Eight kinds of files, all pointing at a server that waits for somebody to come."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        files = referring(address)
        finished(strict_service, submit(strict_service, files).job_id)
        assert set(outcomes(strict_service)) == set(files)
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.accept()
