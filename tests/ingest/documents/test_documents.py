"""Submitting documents and looking at them: what is new, unchanged, retried; ids, tags and metadata."""

from __future__ import annotations

import pytest

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.documents import DocumentRecord, check_metadata
from ingest.errors import ExtractionFailed, Gone, InvalidInput, NotFound, Unavailable
from tests.ingest.support import TextParser, finished, ingest, search, submit, upload


def get(service: Service, document_id: str) -> DocumentRecord:
    """The document in the default collection."""
    return service.documents.get(service.collections.get("default"), document_id)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {1, 2}, b"x", {"\udfff": 1}])
def test_metadata_that_is_no_json_is_refused(service: Service, value: object) -> None:
    """One such value would make every filter of the collection fail."""
    with pytest.raises(InvalidInput, match="JSON"):
        check_metadata({"key": value})
    with pytest.raises(InvalidInput):
        submit(service, {"a.txt": b"A."}, metadata={"key": value})
    with pytest.raises(NotFound):
        get(service, "a.txt")


def test_a_submitted_document_is_visible_at_once_and_ready_in_the_end(service: Service) -> None:
    """From queued to ready, with the facts of its version."""
    submission = submit(service, {"a.txt": b"One two three."}, metadata={"k": 1}, access=["staff"])
    assert [(one.document_id, one.status) for one in submission.documents] == [("a.txt", "queued")]
    assert get(service, "a.txt").status in ("queued", "indexing", "ready")
    job = finished(service, submission.job_id)
    assert (job.state, job.done, job.total, job.failed) == ("succeeded", 1, 1, 0)
    document = get(service, "a.txt")
    assert (document.status, document.version, document.chunks, document.bytes) == ("ready", 1, 1, 14)
    assert (document.title, document.metadata, document.access) == ("a", {"k": 1}, ("staff",))


def test_the_same_bytes_are_unchanged_but_attributes_are_applied(service: Service, parser: TextParser) -> None:
    """Neither parsed nor embedded again; metadata and tags of the second upload hold."""
    ingest(service, {"a.txt": b"One."}, metadata={"k": 1}, access=["staff"])
    again = submit(service, {"a.txt": b"One."}, metadata={"k": 2}, access=[])
    assert [one.status for one in again.documents] == ["unchanged"]
    assert service.jobs.get(again.job_id).state == "succeeded"
    assert (get(service, "a.txt").version, get(service, "a.txt").metadata, get(service, "a.txt").access) == (
        1,
        {"k": 2},
        (),
    )
    assert parser.parsed == ["a.txt"]


def test_attributes_that_are_not_sent_stay(service: Service) -> None:
    """No metadata and no tags mean: as they are."""
    ingest(service, {"a.txt": b"One."}, metadata={"k": 1}, access=["staff"])
    ingest(service, {"a.txt": b"Two."})
    assert (get(service, "a.txt").metadata, get(service, "a.txt").access) == ({"k": 1}, ("staff",))


def test_other_bytes_make_a_new_version(service: Service) -> None:
    """Both versions keep their text; only the live one is found."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    ingest(service, {"a.txt": b"Ferries leave at ten."})
    collection = service.collections.get("default")
    assert get(service, "a.txt").version == 2
    assert service.documents.text(collection, "a.txt").text == "Ferries leave at ten."
    assert service.documents.text(collection, "a.txt", 1).text == "Ferries leave at nine."
    assert [hit.text for hit in search(service, "ferries leave")] == ["Ferries leave at ten."]


def test_going_back_to_earlier_bytes_is_a_new_version(service: Service) -> None:
    """Only the live version makes an upload superfluous."""
    for text in (b"Nine.", b"Ten.", b"Nine."):
        ingest(service, {"a.txt": text})
    assert get(service, "a.txt").version == 3


def test_a_failed_document_can_be_sent_again_with_the_same_bytes(service: Service, parser: TextParser) -> None:
    """What failed is not `unchanged`; success clears the error."""

    def fail(source: object) -> None:
        raise ExtractionFailed("not today", code="parser_crashed")

    parser.before = fail
    job = ingest(service, {"a.txt": b"One."})
    assert (job.state, job.failed) == ("failed", 1)
    assert (get(service, "a.txt").status, get(service, "a.txt").error_code) == ("failed", "parser_crashed")
    parser.before = lambda source: None
    assert ingest(service, {"a.txt": b"One."}).state == "succeeded"
    assert (get(service, "a.txt").status, get(service, "a.txt").error_code) == ("ready", None)


def test_the_live_bytes_after_a_failed_version_are_unchanged(service: Service) -> None:
    """A failure in between does not make the live version new."""
    ingest(service, {"a.txt": b"Good."})
    ingest(service, {"a.txt": b"BROKEN"})
    assert (get(service, "a.txt").status, get(service, "a.txt").error_code) == ("ready", "broken_document")
    assert [one.status for one in submit(service, {"a.txt": b"Good."}).documents] == ["unchanged"]


def test_the_same_bytes_as_another_media_type_are_parsed_anew(service: Service) -> None:
    """What a file is read as decides what is read."""
    ingest(service, {"a": b"One."}, media_type="text/plain")
    assert [one.status for one in submit(service, {"a": b"One."}, media_type="text/markdown").documents] == ["queued"]


def test_an_upload_that_cannot_be_read_is_recorded_beside_good_ones(service: Service) -> None:
    """The good one is ingested, the job is partial."""
    uploads = [
        upload(service, "a.txt", b"A."),
        upload(service, "b", b"?", media_type="x", problem=ExtractionFailed("no")),
    ]
    submission = service.documents.submit(service.collections.get("default"), uploads, key_id=None)
    service.runner.notify()
    assert [one.status for one in submission.documents] == ["queued", "failed"]
    job = finished(service, submission.job_id)
    assert (job.state, job.done, job.total, job.failed) == ("partial", 2, 2, 1)
    assert (get(service, "a.txt").status, get(service, "b").status) == ("ready", "failed")


def test_nothing_is_recorded_when_one_id_is_wrong(service: Service) -> None:
    """All or nothing."""
    with pytest.raises(InvalidInput):
        submit(service, {"a.txt": b"A.", "b/text": b"B."}, media_type="text/plain")
    assert service.documents.list(service.collections.get("default")) == ([], None)


def test_bytes_that_were_purged_during_the_upload_are_asked_for_again(service: Service) -> None:
    """Stored, then purged with another document, then recorded: the last step notices."""
    sent = upload(service, "a.txt", b"A.")
    service.blobs.remove(sent.blob.sha256)
    with pytest.raises(Unavailable, match="send it again"):
        service.documents.submit(service.collections.get("default"), [sent], key_id=None)


def test_list_pages_and_filters_by_status(service: Service) -> None:
    """In order of arrival, with a cursor; deleted ones are left out."""
    ingest(service, {"a.txt": b"A.", "b.txt": b"BROKEN", "c.txt": b"C."})
    collection = service.collections.get("default")
    page, cursor = service.documents.list(collection, limit=2)
    assert cursor is not None
    rest, end = service.documents.list(collection, limit=2, cursor=cursor)
    assert [one.document_id for one in page + rest] == ["a.txt", "b.txt", "c.txt"]
    assert end is None
    failed, _ = service.documents.list(collection, status="failed")
    assert [one.document_id for one in failed] == ["b.txt"]
    service.deletion.delete_documents(collection, ["a.txt"], key_id=None)
    left, _ = service.documents.list(collection)
    assert [one.document_id for one in left] == ["b.txt", "c.txt"]


def test_originals_come_back_to_the_byte(service: Service) -> None:
    """Each version its own; a failed document's too, by its number or as the newest."""
    collection = service.collections.get("default")
    ingest(service, {"a.txt": b"One.", "b.txt": b"BROKEN"})
    ingest(service, {"a.txt": b"Two."})
    for document_id, version, data in (("a.txt", None, b"Two."), ("a.txt", 1, b"One."), ("b.txt", None, b"BROKEN")):
        original = service.documents.original(collection, document_id, version)
        assert original.path is not None
        assert original.path.read_bytes() == data


def test_what_is_not_there_is_named(service: Service) -> None:
    """Unknown document, unknown version, no text yet, and an original that is gone."""
    collection = service.collections.get("default")
    ingest(service, {"a.txt": b"One.", "b.txt": b"BROKEN"})
    with pytest.raises(NotFound, match="no document 'x'"):
        service.documents.text(collection, "x")
    with pytest.raises(NotFound, match="no version 7"):
        service.documents.text(collection, "a.txt", 7)
    for version in (None, 1):
        with pytest.raises(NotFound) as caught:
            service.documents.text(collection, "b.txt", version)
        assert caught.value.code == "text_not_available"
    service.blobs.remove(get(service, "a.txt").sha256)
    with pytest.raises(Gone):
        service.documents.original(collection, "a.txt")


def test_duplicates_name_the_oldest_live_document_with_their_bytes(service: Service) -> None:
    """Within the collection; when the oldest changes or goes, the next takes its place."""
    ingest(service, {"a.txt": b"Same.", "b.txt": b"Same.", "c.txt": b"Same.", "d.txt": b"Other."})
    assert [get(service, f"{name}.txt").duplicate_of for name in "abcd"] == [None, "a.txt", "a.txt", None]
    service.deletion.delete_documents(service.collections.get("default"), ["a.txt"], key_id=None)
    assert [get(service, f"{name}.txt").duplicate_of for name in "bc"] == [None, "b.txt"]


def test_a_document_whose_text_was_lost_is_gone(service: Service) -> None:
    """A live version without text says so instead of failing."""
    ingest(service, {"a.txt": b"One."})
    texts = schema.version_texts
    service.catalogue.write(lambda connection: connection.execute(texts.delete()))
    with pytest.raises(Gone):
        service.documents.text(service.collections.get("default"), "a.txt")
