"""Attachments: documents of their own that live and die with their mail."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bootstrap import Service
from ingest.attachments import attachment_id
from ingest.documents import DocumentRecord, check_document_id
from tests.ingest.support import TextParser, delete, finished, ingest, search, submit, wait_for


def mail(body: str, attachments: Mapping[str, str | bytes | EmailMessage] | None = None) -> EmailMessage:
    """A mail with attached texts, bytes and mails."""
    message = EmailMessage()
    message["Subject"] = "Minutes"
    message["From"] = "a@example.org"
    message.set_content(body)
    for filename, content in (attachments or {}).items():
        if isinstance(content, bytes):
            message.add_attachment(content, "application", "octet-stream", filename=filename)
        else:
            message.add_attachment(content, filename=filename)
    return message


def documents(service: Service) -> dict[str, DocumentRecord]:
    """The documents of the default collection by id."""
    found, _ = service.documents.list(service.collections.get("default"))
    return {one.document_id: one for one in found}


def test_each_attachment_is_a_document_of_the_same_job(service: Service) -> None:
    """Ready when the job ends, with parent, tags and metadata of the mail; also those of a mail within the mail."""
    inner = mail("Inner body.", {"deep.txt": "Dogs travel free."})
    sent = mail("See attached.", {"fares.txt": "Ferries cost four pounds.", "inner.eml": inner})
    job = ingest(service, {"m.eml": bytes(sent)}, metadata={"title": "T", "k": 1}, access=["staff"])
    assert (job.state, job.done, job.total, job.failed) == ("succeeded", 4, 4, 0)
    found = documents(service)
    assert {name: one.parent_document_id for name, one in found.items()} == {
        "m.eml": None,
        "m.eml/fares.txt": "m.eml",
        "m.eml/inner.eml": "m.eml",
        "m.eml/inner.eml/deep.txt": "m.eml/inner.eml",
    }
    assert {one.status for one in found.values()} == {"ready"}
    assert {one.access for one in found.values()} == {("staff",)}
    assert found["m.eml/fares.txt"].metadata == {"k": 1}
    assert [hit.document_id for hit in search(service, "dogs travel", mode="lexical")] == ["m.eml/inner.eml/deep.txt"]


def test_an_attachment_that_nothing_reads_fails_alone(service: Service) -> None:
    """It is recorded with its reason; the mail and the other attachment are ready."""
    job = ingest(service, {"m.eml": bytes(mail("Body.", {"a.txt": "A.", "b.bin": bytes(range(256))}))})
    assert (job.state, job.done, job.total, job.failed) == ("partial", 3, 3, 1)
    found = documents(service)
    assert {name: one.status for name, one in found.items()} == {
        "m.eml": "ready",
        "m.eml/a.txt": "ready",
        "m.eml/b.bin": "failed",
    }
    assert found["m.eml/b.bin"].error_code == "unsupported_media_type"


def test_a_new_version_keeps_changes_and_removes(service: Service) -> None:
    """One attachment stays as it is, one has new bytes, one is gone, one is new."""
    ingest(service, {"m.eml": bytes(mail("One.", {"same.txt": "Same.", "new.txt": "Old words.", "gone.txt": "Gone."}))})
    ingest(service, {"m.eml": bytes(mail("Two.", {"same.txt": "Same.", "new.txt": "New words.", "more.txt": "More."}))})
    wait_for(lambda: len(list(service.blobs)) == 6)
    assert {name: one.version for name, one in documents(service).items()} == {
        "m.eml": 2,
        "m.eml/same.txt": 1,
        "m.eml/new.txt": 2,
        "m.eml/more.txt": 1,
    }


def test_a_failed_new_version_leaves_the_attachments(service: Service) -> None:
    """The old mail answers, and so do they."""
    ingest(service, {"m.eml": bytes(mail("One.", {"a.txt": "Ferries leave."}))})
    ingest(service, {"m.eml": b"BROKEN"}, media_type="text/plain")
    assert {name: one.status for name, one in documents(service).items()} == {"m.eml": "ready", "m.eml/a.txt": "ready"}


def test_deleting_the_mail_deletes_them(service: Service) -> None:
    """With rows, originals and index entries."""
    inner = mail("Inner.", {"deep.txt": "Dogs."})
    ingest(service, {"m.eml": bytes(mail("Body.", {"a.txt": "Ferries.", "inner.eml": inner})), "b.txt": b"Other."})
    receipt = delete(service, "m.eml")
    assert (receipt.documents, receipt.removed["versions"], receipt.removed["blobs"]) == (4, 4, 4)
    assert set(documents(service)) == {"b.txt"}


def test_whoever_may_not_read_the_mail_reads_none_of_it(service: Service) -> None:
    """Tags that are set on the unchanged mail hold for its attachments, and theirs."""
    sent = bytes(mail("Body.", {"inner.eml": mail("Inner.", {"deep.txt": "Dogs."})}))
    ingest(service, {"m.eml": sent})
    ingest(service, {"m.eml": sent}, access=["board"])
    assert {one.access for one in documents(service).values()} == {("board",)}


def test_names_that_are_taken_get_a_number(service: Service) -> None:
    """By the same mail, or by a document that is not the mail's."""
    sent = mail("Body.")
    for text in ("First.", "Second."):
        sent.add_attachment(text, filename="a.txt")
    ingest(service, {"m.eml/b.txt": b"Mine."})
    sent.add_attachment("Third.", filename="b.txt")
    ingest(service, {"m.eml": bytes(sent)})
    assert set(documents(service)) == {"m.eml", "m.eml/a.txt", "m.eml/a (2).txt", "m.eml/b.txt", "m.eml/b (2).txt"}
    ingest(service, {"m.eml": bytes(sent) + b"\n"})
    assert len(documents(service)) == 5


def test_a_cancelled_mail_leaves_no_original_of_its_attachments(service: Service, parser: TextParser) -> None:
    """They are stored when the mail is read, and recorded when it is committed."""
    job_id = submit(service, {"a.txt": b"ENDLESS", "m.eml": bytes(mail("Body.", {"b.txt": "B."}))}).job_id
    wait_for(lambda: len(list(service.blobs)) == 3)
    service.jobs.cancel(job_id)
    assert finished(service, job_id).state == "cancelled"
    wait_for(lambda: len(list(service.blobs)) == 2)


@pytest.mark.parametrize(
    ("filename", "number", "expected"),
    [
        ("a.txt", 1, "m.eml/a.txt"),
        ("a.txt", 3, "m.eml/a (3).txt"),
        ("../../etc/passwd", 1, "m.eml/passwd"),
        ("C:\\files\\a.txt", 1, "m.eml/a.txt"),
        ("a\nb.txt", 1, "m.eml/a b.txt"),
        ("text", 1, "m.eml/text (1)"),
        ("", 1, "m.eml/attachment"),
        ("..", 1, "m.eml/.."),
    ],
)
def test_attachment_ids(filename: str, number: int, expected: str) -> None:
    """The mail's id and the last part of the name, made valid."""
    assert attachment_id("m.eml", filename, number) == expected


@given(st.text(min_size=1, max_size=400), st.text(max_size=500), st.integers(1, 12))
def test_attachment_ids_are_valid(mail_id: str, filename: str, number: int) -> None:
    """Whatever the name, as long as the mail's own id is valid."""
    valid = "".join(one for one in mail_id if one.isprintable()) or "m"
    check_document_id(attachment_id(valid, filename, number))
