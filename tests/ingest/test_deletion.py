"""Deleting: tombstone at once, purge afterwards, counts in the receipt, originals that others still need."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, func, select, update

from api.bootstrap import Service
from ingest.catalogue import metadata, schema
from ingest.collections import CollectionSettings
from ingest.errors import NotFound
from ingest.originals import remove_all_unneeded
from tests.ingest.support import TextParser, delete, finished, ingest, purged, search, submit, upload, wait_for

LONG = " ".join(f"Sentence number {number} speaks of ferries." for number in range(30)).encode()
NOTHING = dict.fromkeys(
    [
        "versions",
        "chunks",
        "vectors",
        "postings",
        "cache_entries",
        "blobs",
        "blobs_kept",
        "answers_redacted",
        "conversation_turns",
        "evaluation_rows",
        "training_rows",
    ],
    0,
)


def rows(service: Service, *tables: str) -> dict[str, int]:
    """Number of rows of each table."""
    with service.catalogue.read() as connection:
        count = {name: select(func.count()).select_from(metadata.tables[name]) for name in tables}
        return {name: connection.execute(query).scalar_one() for name, query in count.items()}


def test_a_tombstone_takes_effect_before_the_purge(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next search does not return the document, although nothing was purged; nor is it to be found by its id."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Ferries leave at ten."})
    collection = service.collections.get("default")
    monkeypatch.setattr(service.runner, "notify", lambda: None)
    receipt = service.deletion.delete_documents(collection, ["a.txt"], key_id="k")
    assert (receipt.state, receipt.documents, receipt.removed) == ("tombstoned", 1, {})
    assert [hit.document_id for hit in search(service, "ferries leave")] == ["b.txt"]
    with pytest.raises(NotFound):
        service.documents.get(collection, "a.txt")


def test_a_purge_leaves_nothing_and_counts_it(service: Service) -> None:
    """Two versions of one document: their rows, texts, vectors and originals."""
    ingest(service, {"a.txt": LONG})
    ingest(service, {"a.txt": b"Short."})
    chunks = rows(service, "chunks")["chunks"]
    receipt = delete(service, "a.txt")
    expected = {"versions": 2, "chunks": chunks, "vectors": chunks, "postings": chunks, "blobs": 2}
    assert receipt.removed == NOTHING | expected
    assert receipt.purged_at is not None
    left = rows(service, "documents", "versions", "version_texts", "chunks", "chunk_vectors", "document_access")
    assert set(left.values()) == {0}
    assert list(service.blobs) == []
    generation = service.collections.get("default").live_generation
    snapshot = service.indexes.snapshot(1, generation)
    assert (snapshot.vector.count, snapshot.lexical.count) == (0, 0)


def test_originals_are_kept_while_others_need_them(service: Service) -> None:
    """Three documents have the same bytes: two deletions keep them, the third removes them."""
    service.put_collection("other", CollectionSettings())
    ingest(service, {"a.txt": b"Same.", "b.txt": b"Same."})
    ingest(service, {"c.txt": b"Same."}, "other")
    first, second = delete(service, "a.txt"), delete(service, "b.txt")
    assert (first.removed["blobs"], first.removed["blobs_kept"]) == (0, 1)
    assert (second.removed["blobs"], second.removed["blobs_kept"]) == (0, 1)
    third = delete(service, "c.txt", collection="other")
    assert (third.removed["blobs"], third.removed["blobs_kept"]) == (1, 0)
    assert list(service.blobs) == []


def test_an_original_shared_within_one_deletion_counts_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its documents are purged in different steps."""
    monkeypatch.setattr("ingest.deletion._PURGE_DOCUMENTS", 1)
    ingest(service, {"a.txt": b"Same.", "b.txt": b"Same."})
    receipt = delete(service, "a.txt", "b.txt")
    assert (receipt.documents, receipt.removed["blobs"], receipt.removed["blobs_kept"]) == (2, 1, 0)


def test_an_original_that_waits_to_be_read_is_kept(service: Service, parser: TextParser) -> None:
    """Deleting one document while another upload of the same bytes is queued."""
    ingest(service, {"a.txt": b"Same."})
    queued = upload(service, "b.txt", b"Same.")
    submission = service.documents.submit(service.collections.get("default"), [queued], key_id=None)
    receipt = service.deletion.delete_documents(service.collections.get("default"), ["a.txt"], key_id=None)
    assert purged(service, receipt).removed["blobs_kept"] == 1
    assert finished(service, submission.job_id).state == "succeeded"


def test_deleting_nothing_known_deletes_nothing(service: Service) -> None:
    """One unknown id stops the whole call; the error names every one."""
    ingest(service, {"a.txt": b"A."})
    collection = service.collections.get("default")
    with pytest.raises(NotFound, match=r"'x', 'y'"):
        service.deletion.delete_documents(collection, ["y", "a.txt", "x"], key_id=None)
    assert service.documents.get(collection, "a.txt").status == "ready"


def test_a_deleted_id_may_be_used_again_at_once(service: Service) -> None:
    """A new document, from version 1, whether the old one is purged or not."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    receipt = service.deletion.delete_documents(service.collections.get("default"), ["a.txt"], key_id=None)
    ingest(service, {"a.txt": b"Ferries leave at ten."})
    purged(service, receipt)
    assert service.documents.get(service.collections.get("default"), "a.txt").version == 1
    assert [hit.text for hit in search(service, "ferries leave")] == ["Ferries leave at ten."]


def test_attachments_go_with_their_mail_and_theirs_with_them(service: Service) -> None:
    """Children and grandchildren, not what merely has a similar name."""
    ingest(service, {"m.eml.txt": b"Mail.", "m/in.txt": b"Inner.", "m/in/deep.txt": b"Deep.", "mm.txt": b"Other."})
    for child, parent in (("m/in.txt", "m.eml.txt"), ("m/in/deep.txt", "m/in.txt")):
        documents = schema.documents
        attach = update(documents).where(documents.c.document_id == child).values(parent_document_id=parent)
        service.catalogue.write(lambda connection, attach=attach: connection.execute(attach))
    assert delete(service, "m.eml.txt").documents == 3
    left, _ = service.documents.list(service.collections.get("default"))
    assert [one.document_id for one in left] == ["mm.txt"]


def test_other_layers_redact_in_the_same_transaction(service: Service) -> None:
    """What a redactor reports stands in the receipt; it sees the keys of the documents that go."""
    seen: list[int] = []

    def redact(connection: Connection, keys: object) -> dict[str, int]:
        seen.extend(keys)  # type: ignore[call-overload]
        return {"training_rows": 2}

    ingest(service, {"a.txt": b"A."})
    service.runner._handlers["purge"]._redactors.append(redact)  # type: ignore[attr-defined]
    assert delete(service, "a.txt").removed["training_rows"] == 2
    assert seen == [1]


def test_a_deleted_collection_is_gone_at_once_and_its_name_free(service: Service) -> None:
    """Searches, uploads and settings of a new collection of that name are those of the new one."""
    old, _ = service.put_collection("a", CollectionSettings(language="de"))
    ingest(service, {"x.txt": b"Ferries leave at nine."}, "a")
    receipt = service.deletion.delete_collection(old, key_id=None)
    with pytest.raises(NotFound):
        service.collections.get("a")
    assert [collection.name for collection in service.collections.list()] == ["default"]
    with pytest.raises(NotFound, match="was deleted"):
        service.documents.submit(old, [upload(service, "y.txt", b"Y.")], key_id=None)
    with pytest.raises(NotFound, match="was deleted"):
        service.deletion.delete_collection(old, key_id=None)
    new, is_new = service.put_collection("a", CollectionSettings())
    assert is_new
    assert new.language is None
    ingest(service, {"x.txt": b"Ferries leave at ten."}, "a")
    done = purged(service, receipt)
    assert (done.collection, done.documents, done.removed["versions"]) == ("a", 1, 1)
    assert [hit.text for hit in search(service, "ferries", "a")] == ["Ferries leave at ten."]
    wait_for(lambda: rows(service, "collections")["collections"] == 2)
    assert rows(service, "generations", "documents") == {"generations": 2, "documents": 1}


def test_a_collection_takes_its_open_receipts_with_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents deleted just before their collection are purged too, and both receipts are closed."""
    collection, _ = service.put_collection("a", CollectionSettings())
    ingest(service, {"x.txt": b"X.", "y.txt": b"Y."}, "a")
    first = service.deletion.delete_documents(collection, ["x.txt"], key_id=None)
    second = service.deletion.delete_collection(collection, key_id=None)
    assert purged(service, first).removed["versions"] == 1
    assert purged(service, second).removed["versions"] == 1
    assert list(service.blobs) == []


def test_jobs_of_a_deleted_collection_are_cancelled(service: Service, parser: TextParser) -> None:
    """Nothing is added to it any more, and no original stays behind."""
    collection, _ = service.put_collection("a", CollectionSettings())
    lines = b'{"id": "1", "text": "Line."}'
    sent = [upload(service, "x.txt", b"X.", password="p"), upload(service, "all.jsonl", lines)]
    service.documents.submit(collection, sent, key_id=None)
    purged(service, service.deletion.delete_collection(collection, key_id=None))
    wait_for(lambda: rows(service, "collections")["collections"] == 1)
    assert rows(service, "documents", "jobs", "job_documents") == {"documents": 0, "jobs": 0, "job_documents": 0}
    assert list(service.blobs) == []


def test_originals_that_were_never_recorded_are_swept(service: Service) -> None:
    """Stored, but refused before they were recorded; what documents have stays."""
    ingest(service, {"a.txt": b"A."})
    stray = upload(service, "b.txt", b"B.")
    assert stray.blob.sha256 in service.blobs
    assert remove_all_unneeded(service.catalogue, service.blobs) == 1
    assert stray.blob.sha256 not in service.blobs
    assert len(list(service.blobs)) == 1


def test_an_unknown_receipt_is_not_found(service: Service) -> None:
    """With its own code."""
    with pytest.raises(NotFound) as caught:
        service.deletion.receipt("rcpt_0")
    assert caught.value.code == "receipt_not_found"


def test_a_cancelled_ingest_leaves_no_corpus_behind(service: Service, parser: TextParser) -> None:
    """Its file goes with the next deletion at the latest."""
    ingest(service, {"a.txt": b"A."})
    collection = service.collections.get("default")
    sent = upload(service, "all.jsonl", b'{"id": "1", "text": "Line."}')
    submission = service.documents.submit(collection, [sent], key_id=None)
    service.jobs.cancel(submission.job_id)
    assert submit(service, {"a.txt": b"A."}).documents[0].status == "unchanged"
    delete(service, "a.txt")
    assert list(service.blobs) == []
