"""The ingest job from upload to search: order, races, corpora, failures."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.chunking import ChunkShape, chunk_document
from ingest.errors import NotFound
from ingest.models import FloatArray, PreparedText, TextKind
from ingest.parsing.document import ParsedDocument, SourceFile
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, delete, finished, ingest, search, submit, wait_for

LONG = " ".join(f"Sentence number {number} speaks of ferries and harbours." for number in range(60))


class Gate:
    """Holds the parser at one file until it is opened."""

    def __init__(self, filename: str) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self._filename = filename

    def __call__(self, source: SourceFile) -> None:
        if source.path.read_text().startswith(self._filename):
            self.reached.set()
            assert self.opened.wait(20)


def corpus(*lines: object) -> bytes:
    """Lines of a corpus; strings as they are, everything else as JSON."""
    return b"\n".join((line if isinstance(line, str) else json.dumps(line)).encode() for line in lines)


def line(document_id: str, text: str, **fields: object) -> dict[str, object]:
    """One document of a corpus."""
    return {"id": document_id, "text": text, **fields}


def count(service: Service, table: str) -> int:
    """Rows of a table."""
    with service.catalogue.read() as connection:
        return connection.execute(select(func.count()).select_from(schema.metadata.tables[table])).scalar_one()


def status(service: Service, document_id: str) -> str:
    """The document's status, `absent` when there is none."""
    try:
        return service.documents.get(service.collections.get("default"), document_id).status
    except NotFound:
        return "absent"


def test_a_real_document_becomes_searchable_chunks(service: Service) -> None:
    """Chunks are those of the chunker on the stored text, each with a unit vector."""
    ingest(service, {"a.txt": LONG.encode()})
    collection = service.collections.get("default")
    text = service.documents.text(collection, "a.txt").text
    expected = chunk_document(ParsedDocument(text, None), HashingEncoder(), ChunkShape(60, 12))
    chunks, vectors = schema.chunks, schema.chunk_vectors
    with service.catalogue.read() as connection:
        rows = connection.execute(select(chunks).order_by(chunks.c.ordinal)).all()
        sizes = connection.execute(select(func.length(vectors.c.vector))).scalars().all()
    assert [(row.char_start, row.char_end, row.tokens) for row in rows] == [
        (c.start, c.end, c.tokens) for c in expected
    ]
    assert [row.text for row in rows] == [text[row.char_start : row.char_end] for row in rows]
    assert list(sizes) == [64 * 4] * len(rows)
    assert search(service, "ferries harbours")[0].document_id == "a.txt"


def test_one_bad_document_fails_alone(service: Service, parser: TextParser) -> None:
    """Unreadable, and one on which the parser itself stumbles: the others are ingested, the job is partial."""

    def stumble(source: SourceFile) -> None:
        if source.filename == "b.txt":
            raise ZeroDivisionError("nobody foresaw this")

    parser.before = stumble
    job = ingest(service, {"a.txt": b"A.", "b.txt": b"B.", "c.txt": b"BROKEN", "d.txt": b"D."})
    assert (job.state, job.done, job.total, job.failed) == ("partial", 4, 4, 2)
    assert [status(service, f"{name}.txt") for name in "abcd"] == ["ready", "failed", "failed", "ready"]
    parts, _ = service.jobs.documents(job.job_id, state="failed")
    assert [part.error_code for part in parts] == ["internal_error", "broken_document"]


def test_an_original_that_vanished_fails_its_document(service: Service, parser: TextParser) -> None:
    """The file is removed between upload and parsing; the job goes on."""

    def vanish(source: SourceFile) -> None:
        if source.filename == "a.txt":
            source.path.unlink()

    parser.before = vanish
    job = ingest(service, {"a.txt": b"A.", "b.txt": b"B."})
    assert (job.state, status(service, "a.txt"), status(service, "b.txt")) == ("partial", "failed", "ready")


def test_the_old_version_answers_until_the_new_one_is_indexed(service: Service, parser: TextParser) -> None:
    """While the new one is parsed, and when it fails."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    gate = parser.before = Gate("Ferries leave at ten")
    submission = submit(service, {"a.txt": b"Ferries leave at ten."})
    assert gate.reached.wait(20)
    assert [hit.text for hit in search(service, "ferries")] == ["Ferries leave at nine."]
    assert status(service, "a.txt") == "ready"
    gate.opened.set()
    finished(service, submission.job_id)
    assert [hit.text for hit in search(service, "ferries")] == ["Ferries leave at ten."]
    ingest(service, {"a.txt": b"BROKEN"})
    assert [hit.text for hit in search(service, "ferries")] == ["Ferries leave at ten."]


def test_an_older_version_never_replaces_a_newer_one(service: Service, parser: TextParser) -> None:
    """Two jobs on one document end in the wrong order: the newer upload stays."""
    gate = parser.before = Gate("Ferries leave at nine")
    slow = submit(service, {"a.txt": b"Ferries leave at nine."})
    assert gate.reached.wait(20)
    ingest(service, {"a.txt": b"Ferries leave at ten."})
    gate.opened.set()
    assert finished(service, slow.job_id).state == "succeeded"
    assert [hit.text for hit in search(service, "ferries")] == ["Ferries leave at ten."]
    assert service.documents.get(service.collections.get("default"), "a.txt").version == 2
    assert count(service, "chunks") == 1


def test_an_older_failure_does_not_mark_a_newer_success(service: Service, parser: TextParser) -> None:
    """The error of a version that was replaced meanwhile is nobody's concern."""
    gate = parser.before = Gate("BROKEN")
    slow = submit(service, {"a.txt": b"BROKEN"})
    assert gate.reached.wait(20)
    ingest(service, {"a.txt": b"Ferries leave at ten."})
    gate.opened.set()
    assert finished(service, slow.job_id).state == "failed"
    document = service.documents.get(service.collections.get("default"), "a.txt")
    assert (document.status, document.error_code) == ("ready", None)


def test_bytes_that_wait_in_a_cancelled_job_are_not_unchanged(service: Service, parser: TextParser) -> None:
    """The second upload has its own version: it does not depend on a job that may be cancelled."""
    gate = parser.before = Gate("Ferries")
    first = submit(service, {"a.txt": b"Ferries leave at nine."})
    assert gate.reached.wait(20)
    second = submit(service, {"a.txt": b"Ferries leave at nine."})
    assert [one.status for one in second.documents] == ["queued"]
    service.jobs.cancel(first.job_id)
    gate.opened.set()
    assert finished(service, second.job_id).state == "succeeded"
    assert finished(service, first.job_id).state in ("cancelled", "succeeded")
    assert status(service, "a.txt") == "ready"
    assert [hit.text for hit in search(service, "ferries")] == ["Ferries leave at nine."]


@pytest.mark.parametrize("wait_for_purge", [False, True])
def test_a_document_deleted_during_its_ingestion_stays_deleted(
    service: Service, parser: TextParser, wait_for_purge: bool
) -> None:
    """Whether only tombstoned or already purged when its turn comes; others of the job are ingested."""
    gate = parser.before = Gate("Ferries")
    submission = submit(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Other."})
    assert gate.reached.wait(20)
    collection = service.collections.get("default")
    receipt = service.deletion.delete_documents(collection, ["a.txt"], key_id=None)
    if wait_for_purge:
        service.runner.notify()
        wait_for(lambda: service.deletion.receipt(receipt.receipt_id).state == "purged")
    gate.opened.set()
    finished(service, submission.job_id)
    service.runner.notify()
    wait_for(lambda: service.deletion.receipt(receipt.receipt_id).state == "purged")
    assert (status(service, "a.txt"), status(service, "b.txt")) == ("absent", "ready")
    assert search(service, "ferries", mode="lexical") == ()
    assert count(service, "documents") == 1
    assert len(list(service.blobs)) == 1


def test_a_corpus_becomes_a_document_a_line(service: Service) -> None:
    """Good lines are ingested, bad ones counted with their number; texts, titles and metadata are the line's."""
    data = corpus(line("a", "Ferries leave at nine.", title="T", meta={"k": 1}), "", "nonsense", line("b/text", "X."))
    job = ingest(service, {"all.jsonl": data + b"\n" + corpus(line("b", " Fares rise.\n"))}, metadata={"from": "us"})
    assert (job.state, job.done, job.total, job.failed) == ("partial", 4, 4, 2)
    parts, _ = service.jobs.documents(job.job_id, state="failed")
    assert [(part.document_id, part.error_code) for part in parts] == [
        ("all.jsonl#3", "invalid_line"),
        ("all.jsonl#4", "invalid_line"),
    ]
    collection = service.collections.get("default")
    a, b = service.documents.get(collection, "a"), service.documents.get(collection, "b")
    assert (a.title, a.metadata, a.status) == ("T", {"k": 1, "from": "us"}, "ready")
    assert (b.title, b.metadata, b.status) == (None, {"from": "us"}, "ready")
    assert service.documents.text(collection, "b").text == " Fares rise.\n"
    original = service.documents.original(collection, "a")
    assert original.data is not None
    assert json.loads(original.data) == {
        "id": "a",
        "title": "T",
        "text": "Ferries leave at nine.",
        "metadata": {"k": 1},
    }


def test_a_corpus_that_was_read_is_not_kept(service: Service) -> None:
    """Each line keeps its own text; deleting a line must not leave it in a file. A damaged corpus goes as well."""
    ingest(service, {"all.jsonl": corpus(line("a", "A."), line("b", "B."))})
    assert list(service.blobs) == []
    job = ingest(service, {"bad.jsonl.gz": gzip.compress(corpus(line("c", "C.")))[:-8]})
    assert (job.state, job.failed, job.total) == ("failed", 1, 1)
    assert list(service.blobs) == []


def test_the_same_corpus_again_is_unchanged_line_by_line(service: Service, parser: TextParser) -> None:
    """Only the line that differs makes a version; a line given twice counts once."""
    ingest(service, {"all.jsonl": corpus(line("a", "A."), line("b", "B."), line("a", "A."))})
    job = ingest(service, {"all.jsonl": corpus(line("a", "A."), line("b", "Other."))})
    states = [part.state for part in service.jobs.documents(job.job_id)[0] if part.document_id != "all.jsonl"]
    assert states == ["unchanged", "succeeded"]
    assert count(service, "versions") == 3


def test_an_empty_corpus_succeeds_with_nothing(service: Service) -> None:
    """Blank lines are no documents."""
    job = ingest(service, {"all.jsonl": b"\n \n"}, media_type="application/jsonl")
    assert (job.state, job.total, job.done) == ("succeeded", 0, 0)


def test_a_corpus_larger_than_a_batch_is_read_whole(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of two, with a remainder and without one."""
    monkeypatch.setattr("ingest.expansion._EXPAND_LINES", 2)
    for number in (4, 5):
        job = ingest(service, {"all.jsonl": corpus(*(line(f"{number}-{n}", f"Text {n}.") for n in range(number)))})
        assert (job.state, job.done) == ("succeeded", number)
    assert count(service, "documents") == 9


def test_a_deleted_line_leaves_nothing(service: Service) -> None:
    """Neither text nor original nor index entry."""
    ingest(service, {"all.jsonl": corpus(line("a", "Ferries leave at nine."), line("b", "Fares rise."))})
    receipt = delete(service, "a")
    assert (receipt.removed["versions"], receipt.removed["chunks"], receipt.removed["blobs"]) == (1, 1, 0)
    assert search(service, "ferries", mode="lexical") == ()
    assert count(service, "version_texts") == 1


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ({}, "a"),
        ({"title": " Fares "}, "Fares"),
        ({"title": ""}, "a"),
        ({"title": 7}, "a"),
        ({"title": "x" * 900}, "x" * 500),
    ],
)
def test_titles(service: Service, metadata: dict[str, object], title: str) -> None:
    """The caller's, else the document's own, else the file name's."""
    ingest(service, {"reports/a.txt": b"A."}, metadata=metadata)
    assert service.documents.get(service.collections.get("default"), "reports/a.txt").title == title


def test_what_is_ready_late_still_waits_behind_the_model(
    service: Service, parser: TextParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that is parsed while the model works on another is queued before that is done, not after."""
    original = HashingEncoder.forward
    working, queued = threading.Event(), threading.Event()

    def prepare(self: HashingEncoder, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        if working.is_set():
            queued.set()
        return [PreparedText(1, text) for text in texts]

    def forward(self: HashingEncoder, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        if kind == "document" and not working.is_set():
            working.set()
            assert queued.wait(20)
        return original(self, prepared, kind, fast=fast)

    def late(source: SourceFile) -> None:
        assert source.filename == "early.txt" or working.wait(20)

    monkeypatch.setattr(HashingEncoder, "prepare", prepare)
    monkeypatch.setattr(HashingEncoder, "forward", forward)
    parser.before = late
    job = ingest(service, {"early.txt": b"Ferries leave at nine.", "late.txt": b"Harbours close at ten."})
    assert job.state == "succeeded"


def test_documents_that_are_still_to_come_are_counted(service: Service, parser: TextParser) -> None:
    """Of this collection only, until they have ended, whichever way."""
    pending = service.jobs.documents_pending
    pk = service.collections.get("default").pk
    gate = Gate("Harbours")
    parser.before = gate
    assert pending(pk) == 0
    submission = submit(service, {"a.txt": b"Harbours close at ten.", "b.txt": b"BROKEN"})
    assert gate.reached.wait(20)
    assert pending(pk) == 2
    assert pending(pk + 1) == 0
    gate.opened.set()
    finished(service, submission.job_id)
    assert pending(pk) == 0


def test_a_cancelled_job_does_not_wait_for_a_parser(service: Service, parser: TextParser) -> None:
    """The document that is being read is given up; the next job is not."""
    stuck = submit(service, {"a.txt": b"ENDLESS", "b.txt": b"B."})
    assert parser.endless.wait(20)
    behind = submit(service, {"c.txt": b"C."})
    service.jobs.cancel(stuck.job_id)
    assert finished(service, stuck.job_id).state == "cancelled"
    assert finished(service, behind.job_id).state == "succeeded"
    parts, _ = service.jobs.documents(stuck.job_id, state="cancelled")
    assert parts[0].document_id == "a.txt"


def test_a_cancelled_job_does_not_wait_for_the_model(
    service: Service, parser: TextParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends while the model is still at work on its first batch, and the others never reach the model."""
    original = HashingEncoder.forward
    working, released = threading.Event(), threading.Event()
    forwards: list[int] = []

    def forward(self: HashingEncoder, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        forwards.append(len(prepared))
        working.set()
        assert released.wait(20)
        return original(self, prepared, kind, fast=fast)

    def late(source: SourceFile) -> None:
        assert source.filename == "first.txt" or working.wait(20)

    monkeypatch.setattr(HashingEncoder, "forward", forward)
    parser.before = late
    submission = submit(service, {name: f"{name} {LONG}".encode() for name in ("first.txt", "second.txt", "third.txt")})
    assert working.wait(20)
    service.jobs.cancel(submission.job_id)
    assert finished(service, submission.job_id).state == "cancelled"
    released.set()
    assert len(forwards) == 1
