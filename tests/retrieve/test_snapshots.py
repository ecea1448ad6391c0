"""Indexes that follow the change log: snapshots, replacement, restart, failures, loading."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection, Collections, CollectionSettings
from ingest.errors import Unavailable
from ingest.index_log import append_change, changes_after, latest_seq
from retrieve.generation_index import Snapshot
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, delete, ingest, search, submit, wait_for
from tests.retrieve.support import SPEC, lexical, put, vector


@pytest.fixture
def indexes(catalogue: Catalogue, collection: Collection) -> Iterator[Indexes]:
    """Indexes that follow the catalogue."""
    opened = Indexes(catalogue, RetrieveSettings())
    opened.start()
    yield opened
    opened.close()


def publish(indexes: Indexes, collection: Collection, seq: int) -> Snapshot:
    """The snapshot with the change in it."""
    indexes.notify(collection.pk)
    assert indexes.wait(collection.pk, seq, 20)
    return indexes.snapshot(collection.pk, collection.live_generation)


def test_the_log_ascends_by_collection(catalogue: Catalogue, collection: Collection) -> None:
    """Each collection sees its own rows, in order; an empty log stands at 0."""
    with catalogue.read() as connection:
        assert latest_seq(connection, collection.pk) == 0
    seqs = [
        catalogue.write(lambda connection, pk=pk: append_change(connection, pk, add=pk, retire=None))
        for pk in (collection.pk, 77, collection.pk)
    ]
    assert seqs == sorted(seqs)
    with catalogue.read() as connection:
        assert latest_seq(connection, collection.pk) == seqs[2]
        assert [change.seq for change in changes_after(connection, collection.pk, 0)] == [seqs[0], seqs[2]]
        assert [change.seq for change in changes_after(connection, collection.pk, seqs[0])] == [seqs[2]]


def test_a_change_shows_in_both_indexes_and_an_older_snapshot_stays(
    catalogue: Catalogue, collection: Collection, indexes: Indexes
) -> None:
    """Who searches keeps the state with which the search began."""
    first = publish(indexes, collection, put(catalogue, collection, 1, "ferries leave"))
    second = publish(indexes, collection, put(catalogue, collection, 1, "ferries arrive"))
    assert (lexical(first, "ferries"), vector(first, "ferries")) == ([1], [1])
    assert (lexical(second, "ferries"), vector(second, "ferries")) == ([2], [2])
    assert first.seq < second.seq
    assert indexes.published(collection.pk) == second.seq


def test_a_version_that_comes_and_goes_between_two_looks_is_never_seen(
    catalogue: Catalogue, collection: Collection, indexes: Indexes
) -> None:
    """Ten replacements before the follower is told: only the last one is loaded."""
    publish(indexes, collection, put(catalogue, collection, 1, "ferries number 0"))
    seqs = [put(catalogue, collection, 1, f"ferries number {number}") for number in range(1, 11)]
    snapshot = publish(indexes, collection, seqs[-1])
    assert lexical(snapshot, "ferries") == vector(snapshot, "ferries") == [11]
    assert (snapshot.vector.count, snapshot.lexical.count) == (1, 1)


def test_indexes_rebuilt_from_the_catalogue_are_equal(
    catalogue: Catalogue, collection: Collection, indexes: Indexes
) -> None:
    """Order and scores are the same as those of the indexes that followed the log change by change."""
    for number in range(30):
        seq = put(catalogue, collection, number % 7 + 1, f"ferries leave at {number} and at {number % 4}")
        publish(indexes, collection, seq)
    followed = publish(indexes, collection, seq)
    fresh = Indexes(catalogue, RetrieveSettings())
    rebuilt = fresh.snapshot(collection.pk, collection.live_generation)
    assert (rebuilt.seq, rebuilt.vector.count, rebuilt.lexical.count) == (followed.seq, 7, 7)
    query = HashingEncoder().encode(["ferries at 3"], "query", fast=False)[0]
    one, other = (snapshot.vector.search(query, top_k=10) for snapshot in (followed, rebuilt))
    assert one.chunks.tolist() == other.chunks.tolist()
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
    assert set(lexical(followed, "ferries at 3")) == set(lexical(rebuilt, "ferries at 3"))
    fresh.close()


def test_a_replaced_document_is_old_or_new_never_both_or_none(service: Service) -> None:
    """Two threads search all the time, one with a filter, while a document is replaced a dozen times."""
    ingest(service, {"a.txt": b"Ferries leave at 0.", "b.txt": b"Other things."})
    collection = service.collections.get("default")
    stop = threading.Event()
    found: list[list[str]] = []

    def look(conditions: dict[str, object]) -> None:
        while not stop.is_set():
            hits = search(service, "ferries leave", mode="lexical", filter=conditions)
            found.append([hit.text for hit in hits if hit.document_id == "a.txt"])

    threads = [threading.Thread(target=look, args=(conditions,)) for conditions in ({}, {"document_id": "a.txt"})]
    for thread in threads:
        thread.start()
    for number in range(1, 13):
        ingest(service, {"a.txt": f"Ferries leave at {number}.".encode()})
    stop.set()
    for thread in threads:
        thread.join()
    assert {len(texts) for texts in found} == {1}
    assert len({texts[0] for texts in found}) > 3
    assert service.documents.get(collection, "a.txt").version == 13


Found = list[tuple[str, str, float]]


def found_after(settings: Settings, service: Service, copy: Path, *, closed: bool) -> tuple[Found, Found]:
    """Hits before a restart and after it, on a copy of the directory: of a service that closed, or of a killed one."""
    ingest(service, {f"{n}.txt": f"Ferries leave at {n}. Dogs travel free {n % 3}.".encode() for n in range(12)})
    ingest(service, {"3.txt": b"Replaced: ferries leave never."})
    delete(service, "4.txt")
    before = hits_of(service)
    if closed:
        service.indexes.close()
    shutil.copytree(settings.data_dir, copy, ignore=shutil.ignore_patterns("owner.*"))
    again = settings.model_copy(update={"data_dir": copy})
    with open_service(again, parser=TextParser(), load=lambda name, revision: HashingEncoder(name, revision)) as opened:
        return before, hits_of(opened)


def hits_of(service: Service) -> Found:
    return [(hit.document_id, hit.text, round(hit.score, 4)) for hit in search(service, "ferries leave at dogs 3")]


def test_a_restart_finds_the_same(settings: Settings, migrated: Path, service: Service, tmp_path: Path) -> None:
    """Hits, order and scores after the service was closed and opened again."""
    before, after = found_after(settings, service, tmp_path / "copy", closed=True)
    assert after == before


def test_a_rebuilt_index_finds_the_same(settings: Settings, migrated: Path, service: Service, tmp_path: Path) -> None:
    """Hits and order after a kill; the rebuilt index no longer counts removed chunks in its term statistics."""
    before, after = found_after(settings, service, tmp_path / "copy", closed=False)
    assert [hit[:2] for hit in after] == [hit[:2] for hit in before]


def test_not_ready_until_everything_was_loaded(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every collection that was there at the start counts; one that comes later does not."""
    collections = [Collections(catalogue).put(name, CollectionSettings(), SPEC)[0] for name in "abc"]
    released, loaded = threading.Semaphore(0), []
    original = Indexes._advance

    def advance(self: Indexes, collection_pk: int) -> None:
        assert released.acquire(timeout=20)
        original(self, collection_pk)
        loaded.append(collection_pk)

    monkeypatch.setattr(Indexes, "_advance", advance)
    indexes = Indexes(catalogue, RetrieveSettings())
    indexes.start()
    for count in range(3):
        wait_for(lambda count=count: len(loaded) == count)  # type: ignore[misc]
        with pytest.raises(Unavailable, match=f"{3 - count} collections"):
            indexes.ping()
        released.release()
    wait_for(lambda: len(loaded) == 3)
    indexes.ping()
    indexes.notify(Collections(catalogue).put("d", CollectionSettings(), SPEC)[0].pk)
    indexes.ping()
    released.release()
    assert sorted(loaded[:3]) == [collection.pk for collection in collections]
    indexes.close()


def test_a_failing_collection_is_reported_retried_and_holds_up_no_other(
    catalogue: Catalogue, collection: Collection, indexes: Indexes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vector of the wrong size stops one index; once it is repaired, the index catches up by itself."""
    monkeypatch.setattr("retrieve.snapshots._RETRY_S", 0.02)
    other = Collections(catalogue).put("other", CollectionSettings(), SPEC)[0]
    seq = put(catalogue, collection, 1, "ferries leave")
    good = HashingEncoder().encode(["ferries leave"], "document", fast=True)[0].tobytes()
    vectors = schema.chunk_vectors
    catalogue.write(lambda connection: connection.execute(update(vectors).values(vector=good[:40])))
    indexes.notify(collection.pk)
    wait_for(lambda: bool(indexes._failures))
    with pytest.raises(Unavailable, match="cannot follow"):
        indexes.ping()
    assert not indexes.wait(collection.pk, seq, 0.05)
    assert lexical(publish(indexes, other, put(catalogue, other, 2, "dogs travel")), "dogs") == [2]
    with pytest.raises(Unavailable):
        indexes.ping()
    mended = update(vectors).where(vectors.c.chunk_pk == 1).values(vector=good)
    catalogue.write(lambda connection: connection.execute(mended))
    assert indexes.wait(collection.pk, seq, 20)
    indexes.ping()
    snapshot = indexes.snapshot(collection.pk, collection.live_generation)
    assert lexical(snapshot, "ferries") == vector(snapshot, "ferries") == [1]


def test_a_first_load_that_failed_starts_afresh(catalogue: Catalogue, collection: Collection) -> None:
    """What was live at the first attempt, and is not at the second, must not stay in the index."""
    for number in range(1, 4):
        put(catalogue, collection, number, f"ferries {number}")
    vectors = schema.chunk_vectors
    broken = update(vectors).where(vectors.c.chunk_pk == 3).values(vector=b"123")
    catalogue.write(lambda connection: connection.execute(broken))
    indexes = Indexes(catalogue, RetrieveSettings())
    with pytest.raises(Unavailable, match="cannot be loaded"):
        indexes.snapshot(collection.pk, collection.live_generation)
    for number in (1, 3):
        put(catalogue, collection, number, f"dogs {number}")
    snapshot = indexes.snapshot(collection.pk, collection.live_generation)
    assert lexical(snapshot, "ferries") == [2]
    assert (snapshot.vector.count, snapshot.lexical.count) == (3, 3)
    indexes.close()


def test_a_dropped_collection_is_forgotten(catalogue: Catalogue, collection: Collection, indexes: Indexes) -> None:
    """A notice that comes late brings nothing back, and the service stays ready."""
    publish(indexes, collection, put(catalogue, collection, 1, "ferries"))
    catalogue.write(lambda connection: connection.execute(schema.collections.delete()))
    indexes.notify(collection.pk)
    wait_for(lambda: not indexes._indexes)
    indexes.drop(collection.pk)
    assert indexes.published(collection.pk) == 0
    indexes.ping()


def test_waiting_ends_with_the_service(catalogue: Catalogue, collection: Collection, indexes: Indexes) -> None:
    """Nobody waits for an index that is closed."""
    waited: list[bool] = []
    thread = threading.Thread(target=lambda: waited.append(indexes.wait(collection.pk, 4711, 60)))
    thread.start()
    indexes.close()
    thread.join(10)
    assert waited == [False]


def test_jobs_end_when_searches_see_their_documents(service: Service) -> None:
    """`succeeded` means: the next search finds it."""
    for number in range(10):
        submission = submit(service, {f"{number}.txt": f"Unmistakable{number} words.".encode()})
        wait_for(lambda job_id=submission.job_id: service.jobs.get(job_id).state == "succeeded")  # type: ignore[misc]
        hits = search(service, f"unmistakable{number}", mode="lexical")
        assert hits[0].document_id == f"{number}.txt"
