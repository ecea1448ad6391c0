"""Replaced versions: kept for a time, then emptied; what others need stays."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.errors import Gone
from ingest.history import HistoryKeeper
from ingest.jobs import TERMINAL_STATES
from tests.ingest.support import TextParser, delete, ingest, search, submit, wait_for


def expire(service: Service, *, days: float = 0.0) -> int:
    """Empty what ended so many days ago; returns the number of collections in which something did."""
    queued = HistoryKeeper(service.catalogue, service.runner, retention_days=days).queue_due()
    jobs = schema.jobs
    query = select(jobs.c.pk).where(jobs.c.kind == "history", jobs.c.state.not_in(TERMINAL_STATES))

    def ended() -> bool:
        with service.catalogue.read() as connection:
            return connection.execute(query).first() is None

    wait_for(ended)
    return queued


def states(service: Service) -> list[str]:
    """The states of all versions, oldest first."""
    with service.catalogue.read() as connection:
        return list(connection.execute(select(schema.versions.c.state).order_by(schema.versions.c.pk)).scalars())


def test_history_is_kept_for_its_time(service: Service) -> None:
    """Nothing is due before; then text, chunks and original of the old version go, and only those."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    ingest(service, {"a.txt": b"Ferries leave at ten."})
    collection = service.collections.get("default")
    assert expire(service, days=1) == 0
    assert service.documents.text(collection, "a.txt", 1).text == "Ferries leave at nine."
    assert expire(service) == 1
    for read in (service.documents.text, service.documents.original):
        with pytest.raises(Gone):
            read(collection, "a.txt", 1)
    assert states(service) == ["expired", "live"]
    assert len(list(service.blobs)) == 1
    with service.catalogue.read() as connection:
        assert connection.execute(select(schema.chunks.c.version_pk)).scalars().all() == [2]
    assert [hit.text for hit in search(service, "ferries leave")] == ["Ferries leave at ten."]
    assert expire(service) == 0


def test_an_original_stays_while_another_version_needs_it(service: Service) -> None:
    """Going back to earlier bytes: the first version expires, the third has the same original."""
    for text in (b"Nine.", b"Ten.", b"Nine."):
        ingest(service, {"a.txt": text})
    expire(service)
    assert states(service) == ["expired", "expired", "live"]
    assert len(list(service.blobs)) == 1
    original = service.documents.original(service.collections.get("default"), "a.txt")
    assert original.path is not None
    assert original.path.read_bytes() == b"Nine."


def test_a_failed_version_can_be_retried_until_it_is_replaced(service: Service) -> None:
    """Only then does it count as history."""
    ingest(service, {"a.txt": b"BROKEN"})
    assert expire(service) == 0
    ingest(service, {"a.txt": b"Good."})
    expire(service)
    assert states(service) == ["expired", "live"]
    assert len(list(service.blobs)) == 1


def test_a_deletion_counts_what_is_left_of_history(service: Service) -> None:
    """An expired version is still a version, without chunks or original."""
    ingest(service, {"a.txt": b"Nine."})
    ingest(service, {"a.txt": b"Ten."})
    expire(service)
    removed = delete(service, "a.txt").removed
    assert (removed["versions"], removed["chunks"], removed["blobs"]) == (2, 1, 1)


def test_expired_bytes_sent_again_are_read_again(service: Service, parser: TextParser) -> None:
    """There is nothing left to copy."""
    ingest(service, {"a.txt": b"Nine."})
    ingest(service, {"a.txt": b"Ten."})
    expire(service)
    parser.parsed.clear()
    assert submit(service, {"a.txt": b"Nine."}).documents[0].status == "queued"
    wait_for(lambda: parser.parsed == ["a.txt"])


def test_a_corpus_line_expires_too(service: Service) -> None:
    """It has no original of its own."""
    for text in (b"Nine", b"Ten"):
        ingest(service, {"all.jsonl": b'{"id": "1", "text": "%s"}' % text})
    expire(service)
    assert states(service) == ["expired", "live"]
    with pytest.raises(Gone):
        service.documents.original(service.collections.get("default"), "1", 1)
