"""The ingest job: parse, chunk, embed, commit, wait for the index.

Parsing runs ahead in worker processes while earlier documents are embedded. A group of documents is committed in one
transaction with its chunks, vectors and index-change rows, so that after a kill each document is there whole or not at
all; the job, run again, goes on with the documents that have not ended.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any, Protocol

from sqlalchemy import Connection, Row, insert, select, update

from ingest.attachments import StoredAttachment, record_attachments, store_attachments
from ingest.blobs import Blob, BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunking import Chunk, ChunkShape, chunk_document, contextual_text
from ingest.clock import now
from ingest.collections import Collection, load_collection_by_key
from ingest.corpus import CORPUS_LINE_MEDIA_TYPE, BadLine, CorpusLine, read_corpus
from ingest.credibility import Credibility, freshness, source_prior, store
from ingest.documents import (
    Passwords,
    Upload,
    check_collection,
    check_document_id,
    fail_version,
    outcome,
    put_version,
)
from ingest.errors import CitewellError, ExtractionFailed, InvalidInput, NotFound, Unavailable
from ingest.generations import GenerationSpec
from ingest.index_log import IndexProgress, append_change
from ingest.jobs import Job, JobCancelled, JobContext, settle_job_counts
from ingest.language import detect_language
from ingest.models import Encoder, FloatArray, ModelRuntime, Priority
from ingest.originals import remove_spent_corpora
from ingest.parsing.document import ParsedDocument, SourceFile
from ingest.settings import IngestSettings

_LOG = logging.getLogger(__name__)
_DOCUMENTS_AHEAD = 64
_BYTES_AHEAD = 64 << 20
_GROUP_CHUNKS = 256
_GROUP_DOCUMENTS = 128
_EXPAND_LINES = 200  # some tenths of a second on the writer thread, for which others wait
_INDEX_WAIT_S = 600.0
_INDEX_POLL_S = 1.0


class DocumentParser(Protocol):
    """Parses in a process of its own; thread-safe. Raises `ExtractionFailed`."""

    def parse(self, source: SourceFile) -> ParsedDocument: ...


@dataclass(frozen=True, slots=True)
class _Task:
    """A document of the job that has not ended."""

    job_document_pk: int
    document_pk: int
    version_pk: int
    document_id: str
    sha256: str
    bytes: int
    filename: str
    media_type: str
    title: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A parsed and chunked document, or why it could not be."""

    task: _Task
    parsed: ParsedDocument | None = None
    chunks: Sequence[Chunk] = ()
    language: str | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    error: CitewellError | None = None


class IngestHandler:
    """Handler of jobs of kind `ingest`. `encoder_for` gives the (loaded) encoder of a generation."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        blobs: BlobStore,
        parser: DocumentParser,
        runtime: ModelRuntime,
        encoder_for: Callable[[GenerationSpec], Encoder],
        progress: IndexProgress,
        passwords: Passwords,
        settings: IngestSettings,
    ) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._parser = parser
        self._runtime = runtime
        self._encoder_for = encoder_for
        self._progress = progress
        self._passwords = passwords
        self._settings = settings

    def run(self, job: Job, context: JobContext) -> str:
        with self._catalogue.read() as connection:
            collection = load_collection_by_key(connection, job.collection_pk)
        self._expand_corpora(job, collection, context)
        self._process(job, collection, context)
        context.report_stage("indexing")
        self._await_index(job, collection, context)
        return self._outcome(job)

    # Corpora: one uploaded file, many documents

    def _expand_corpora(self, job: Job, collection: Collection, context: JobContext) -> None:
        table = schema.job_documents
        query = select(table).where(table.c.job_pk == job.pk, table.c.kind == "corpus", table.c.state == "queued")
        with self._catalogue.read() as connection:
            corpora = connection.execute(query).all()
        for corpus in corpora:
            try:
                self._expand(job, collection, corpus, context)
            except ExtractionFailed as failure:
                self._fail_corpus(job, corpus, failure)
        remove_spent_corpora(self._catalogue, self._blobs)

    def _expand(self, job: Job, collection: Collection, corpus: Row[Any], context: JobContext) -> None:
        """Record the corpus's lines as documents, a batch a transaction, each with the number of its last line."""
        lines = read_corpus(
            self._blobs.path(corpus.payload["sha256"]),
            corpus.payload["media_type"],
            decompressed_bytes_max=self._settings.parse_decompressed_max_bytes,
        )
        batch: list[tuple[int, CorpusLine | BadLine]] = []
        for number, line in lines:
            if number <= corpus.payload["line"]:
                continue
            batch.append((number, line))
            if len(batch) == _EXPAND_LINES:
                context.check()
                self._record(job, collection, corpus, batch)
                batch = []
        self._record(job, collection, corpus, batch, last=True)

    def _record(
        self,
        job: Job,
        collection: Collection,
        corpus: Row[Any],
        lines: Sequence[tuple[int, CorpusLine | BadLine]],
        *,
        last: bool = False,
    ) -> None:
        self._catalogue.write(
            lambda connection: _record_lines(connection, job.pk, collection, corpus, lines, last=last)
        )

    def _fail_corpus(self, job: Job, corpus: Row[Any], error: CitewellError) -> None:
        self._catalogue.write(lambda connection: _fail_corpus(connection, job.pk, corpus, error))

    # Documents

    def _process(self, job: Job, collection: Collection, context: JobContext) -> None:
        with ThreadPoolExecutor(self._settings.parse_workers, thread_name_prefix="prepare") as executor:
            ahead: deque[tuple[_Task, Future[_Prepared]]] = deque()
            tasks = self._tasks(job)
            try:
                self._refill(executor, ahead, tasks, collection)
                while ahead:
                    context.check()
                    group = self._next_group(ahead)
                    self._refill(executor, ahead, tasks, collection)
                    self._commit(job, collection, group, self._embed(collection, group))
                    if not ahead:  # what was committed may have brought attachments, which are at the queue's end
                        tasks = self._tasks(job)
                        self._refill(executor, ahead, tasks, collection)
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    def _tasks(self, job: Job) -> Iterator[_Task]:
        last = 0
        while True:
            with self._catalogue.read() as connection:
                page = _queued_tasks(connection, job.pk, after=last, limit=_DOCUMENTS_AHEAD)
            if not page:
                return
            last = page[-1].job_document_pk
            yield from page

    def _refill(
        self,
        executor: ThreadPoolExecutor,
        ahead: deque[tuple[_Task, Future[_Prepared]]],
        tasks: Iterator[_Task],
        collection: Collection,
    ) -> None:
        """Parse ahead, within a number of documents and of bytes: parsed texts wait in memory."""
        spec = collection.live_generation.spec
        while len(ahead) < _DOCUMENTS_AHEAD and (not ahead or sum(task.bytes for task, _ in ahead) < _BYTES_AHEAD):
            task = next(tasks, None)
            if task is None:
                return
            ahead.append((task, executor.submit(self._prepare, task, spec)))

    def _next_group(self, ahead: deque[tuple[_Task, Future[_Prepared]]]) -> list[_Prepared]:
        """At least one document; more as far as they are ready, up to the size of a group."""
        group = [ahead.popleft()[1].result()]
        while ahead and ahead[0][1].done() and len(group) < _GROUP_DOCUMENTS:
            if sum(len(prepared.chunks) for prepared in group) >= _GROUP_CHUNKS:
                break
            group.append(ahead.popleft()[1].result())
        return group

    def _prepare(self, task: _Task, spec: GenerationSpec) -> _Prepared:
        try:
            parsed = self._parse(task)
            chunks = chunk_document(parsed, self._encoder_for(spec), ChunkShape(spec.chunk_tokens, spec.overlap_tokens))
            attachments = store_attachments(self._blobs, parsed.attachments, max_bytes=self._settings.upload_max_bytes)
            return _Prepared(task, parsed, chunks, detect_language(parsed.text), attachments)
        except ExtractionFailed as failure:
            return _Prepared(task, error=failure)
        except CitewellError:
            raise
        except Exception as failure:  # noqa: BLE001 - one document that nobody foresaw must not fail all the others
            _LOG.exception("document %s cannot be prepared", task.document_id)
            message = f"{type(failure).__name__} while reading the document; see the service's log"
            return _Prepared(task, error=ExtractionFailed(message, code="internal_error"))

    def _parse(self, task: _Task) -> ParsedDocument:
        if task.media_type == CORPUS_LINE_MEDIA_TYPE:
            return ParsedDocument(self._recorded_text(task.version_pk), task.title, parser="corpus")
        return self._parser.parse(
            SourceFile(
                self._blobs.path(task.sha256),
                task.filename,
                task.media_type,
                self._passwords.take(task.version_pk),
            )
        )

    def _recorded_text(self, version_pk: int) -> str:
        texts = schema.version_texts
        with self._catalogue.read() as connection:
            text = connection.execute(select(texts.c.text).where(texts.c.version_pk == version_pk)).scalar()
        if text is None:
            raise _deleted()
        return str(text)

    def _embed(self, collection: Collection, group: Sequence[_Prepared]) -> FloatArray:
        """float32 array of shape (chunks of the group, dimensions), in the order of documents and chunks."""
        texts = [
            contextual_text(_title(prepared), chunk.heading, prepared.parsed.text[chunk.start : chunk.end])
            for prepared in group
            if prepared.parsed is not None
            for chunk in prepared.chunks
        ]
        encoder = self._encoder_for(collection.live_generation.spec)
        return self._runtime.embed(encoder, texts, kind="document", priority=Priority.BULK)

    def _commit(self, job: Job, collection: Collection, group: Sequence[_Prepared], vectors: FloatArray) -> None:
        published = self._progress.published(collection.pk)
        self._catalogue.write(
            lambda connection: self._commit_group(connection, job.pk, collection, group, vectors, published)
        )
        self._progress.notify(collection.pk)

    def _commit_group(
        self,
        connection: Connection,
        job_pk: int,
        collection: Collection,
        group: Sequence[_Prepared],
        vectors: FloatArray,
        published: int,
    ) -> None:
        offset = 0
        states: list[str] = []
        for prepared in group:
            rows = vectors[offset : offset + len(prepared.chunks)]
            offset += len(prepared.chunks)
            states += self._commit_one(connection, job_pk, collection, prepared, rows)
        ended = sum(state in ("failed", "succeeded", "unchanged") for state in states)
        table = schema.jobs
        connection.execute(
            update(table)
            .where(table.c.pk == job_pk)
            .values(
                stage="embedding",
                total=table.c.total + len(states) - len(group),
                done=table.c.done + ended + _settle_indexed(connection, job_pk, published),
                failed=table.c.failed + states.count("failed"),
                attempts=1,  # there was progress: only attempts without any count towards the limit
                updated_at=now(),
            )
        )

    def _commit_one(
        self,
        connection: Connection,
        job_pk: int,
        collection: Collection,
        prepared: _Prepared,
        vectors: FloatArray,
    ) -> list[str]:
        """Make one version live, or record its failure; returns the state of its part in the job, and of its
        attachments'.

        That is `running` while the index has yet to follow, and empty when the part was ended, or purged, meanwhile.
        """
        task, parts = prepared.task, schema.job_documents
        this = parts.c.pk == task.job_document_pk
        if connection.execute(select(parts.c.state).where(this)).scalar() != "queued":
            return [""]
        document = connection.execute(select(schema.documents).where(schema.documents.c.pk == task.document_pk)).one()
        attached: list[str] = []
        if prepared.parsed is None or document.tombstoned_at is not None:
            error = prepared.error if prepared.error is not None and document.tombstoned_at is None else _deleted()
            fail_version(connection, task.document_pk, task.version_pk, error)
            values: dict[str, Any] = {"state": "failed", "error_code": error.code, "error_message": error.message}
        elif _is_superseded(connection, document, task.version_pk):
            retire = update(schema.versions).where(schema.versions.c.pk == task.version_pk)
            connection.execute(retire.values(state="superseded", retired_at=now()))
            values = {"state": "succeeded"}
        else:
            seq = _commit_version(connection, collection, document, prepared, vectors, self._settings)
            values = {"state": "running", "stage": "indexing", "seq": seq}
            attached = record_attachments(connection, collection, job_pk, document, prepared.attachments, self._blobs)
        connection.execute(update(parts).where(this).values(**values))
        return [str(values["state"]), *attached]

    def _await_index(self, job: Job, collection: Collection, context: JobContext) -> None:
        """Wait until searches see what this job committed, then call its documents ready."""
        table = schema.job_documents
        waiting = select(table.c.seq).where(
            table.c.job_pk == job.pk, table.c.state == "running", table.c.seq.is_not(None)
        )
        with self._catalogue.read() as connection:
            seq = max(connection.execute(waiting).scalars(), default=0)
        self._progress.notify(collection.pk)
        give_up = time.monotonic() + _INDEX_WAIT_S
        while not self._progress.wait(collection.pk, seq, _INDEX_POLL_S):
            context.check()
            if time.monotonic() > give_up:
                raise Unavailable(
                    "the index did not take the documents in; see the service's log", code="index_unavailable"
                )

        def settle(connection: Connection) -> None:
            _settle_indexed(connection, job.pk, seq)
            settle_job_counts(connection, job.pk)

        self._catalogue.write(settle)

    def _outcome(self, job: Job) -> str:
        with self._catalogue.read() as connection:
            counts = connection.execute(
                select(schema.jobs.c.failed, schema.jobs.c.total).where(schema.jobs.c.pk == job.pk)
            ).one()
        return outcome(counts.failed, counts.total)


def _queued_tasks(connection: Connection, job_pk: int, *, after: int, limit: int) -> list[_Task]:
    parts, versions, documents = schema.job_documents, schema.versions, schema.documents
    joined = parts.join(versions, versions.c.pk == parts.c.version_pk).join(
        documents, documents.c.pk == parts.c.document_pk
    )
    query = (
        select(
            parts.c.pk,
            parts.c.document_pk,
            parts.c.version_pk,
            parts.c.document_id,
            versions.c.sha256,
            versions.c.bytes,
            versions.c.filename,
            versions.c.media_type,
            versions.c.source_metadata,
            documents.c.metadata,
        )
        .select_from(joined)
        .where(parts.c.job_pk == job_pk, parts.c.state == "queued", parts.c.kind != "corpus", parts.c.pk > after)
        .order_by(parts.c.pk)
        .limit(limit)
    )
    return [
        _Task(
            row.pk,
            row.document_pk,
            row.version_pk,
            row.document_id,
            row.sha256,
            row.bytes,
            row.filename,
            row.media_type,
            row.source_metadata.get("title"),
            row.metadata,
        )
        for row in connection.execute(query)
    ]


def _title(prepared: _Prepared) -> str | None:
    """The caller's title, else the document's own, else the file name without its ending (a corpus line has none)."""
    task = prepared.task
    given = task.metadata.get("title")
    own = prepared.parsed.title if prepared.parsed else None
    if isinstance(given, str) and given.strip():
        return given.strip()
    return own or (None if task.media_type == CORPUS_LINE_MEDIA_TYPE else PurePosixPath(task.filename).stem)


def _deleted() -> ExtractionFailed:
    return ExtractionFailed("the document was deleted during its ingestion", code="document_deleted")


def _document_date(prepared: _Prepared) -> date | None:
    """The caller's `date` metadata where it is an ISO date, else the document's own."""
    given = prepared.task.metadata.get("date")
    try:
        return date.fromisoformat(str(given)[:10])
    except ValueError:
        return prepared.parsed.document_date if prepared.parsed else None


def _is_superseded(connection: Connection, document: Row[Any], version_pk: int) -> bool:
    """A newer version, from a job that was faster, is live already: an older one must never replace it."""
    versions = schema.versions
    query = select(versions.c.pk, versions.c.version).where(versions.c.pk.in_((version_pk, document.live_version_pk)))
    numbers: dict[int, int] = {row.pk: row.version for row in connection.execute(query)}
    return numbers.get(document.live_version_pk, 0) > numbers[version_pk]


def _commit_version(
    connection: Connection,
    collection: Collection,
    document: Row[Any],
    prepared: _Prepared,
    vectors: FloatArray,
    settings: IngestSettings,
) -> int:
    """Text, chunks and vectors of the version, in place of the live one; returns the seq of the change."""
    _store_version(connection, prepared)
    _store_chunks(connection, collection, prepared, vectors)
    retired = _make_live(connection, document, prepared.task.version_pk)
    _store_facts(connection, collection, document, prepared, settings)
    return append_change(connection, collection.pk, add=prepared.task.version_pk, retire=retired)


def _store_version(connection: Connection, prepared: _Prepared) -> None:
    parsed, task = prepared.parsed, prepared.task
    assert parsed is not None
    day = _document_date(prepared)
    if task.media_type != CORPUS_LINE_MEDIA_TYPE:
        connection.execute(insert(schema.version_texts).values(version_pk=task.version_pk, text=parsed.text))
    connection.execute(
        update(schema.versions)
        .where(schema.versions.c.pk == task.version_pk)
        .values(
            state="live",
            title=_title(prepared),
            language=prepared.language,
            pages=len(parsed.pages) or None,
            page_spans=[[page.number, page.start, page.end] for page in parsed.pages],
            chars=len(parsed.text),
            document_date=day.isoformat() if day else None,
            quality=parsed.quality,
            parser=parsed.parser,
            live_at=now(),
        )
    )


def _store_chunks(connection: Connection, collection: Collection, prepared: _Prepared, vectors: FloatArray) -> None:
    parsed = prepared.parsed
    assert parsed is not None
    if not prepared.chunks:
        return
    rows = [
        {
            "version_pk": prepared.task.version_pk,
            "generation_pk": collection.live_generation.pk,
            "ordinal": chunk.ordinal,
            "char_start": chunk.start,
            "char_end": chunk.end,
            "tokens": chunk.tokens,
            "page": chunk.page,
            "heading": chunk.heading,
            "text": parsed.text[chunk.start : chunk.end],
        }
        for chunk in prepared.chunks
    ]
    keys = connection.execute(
        insert(schema.chunks).returning(schema.chunks.c.pk, sort_by_parameter_order=True), rows
    ).scalars()
    blobs = [{"chunk_pk": key, "vector": row.tobytes()} for key, row in zip(keys, vectors.astype("<f4"), strict=True)]
    connection.execute(insert(schema.chunk_vectors), blobs)


def _make_live(connection: Connection, document: Row[Any], version_pk: int) -> int | None:
    """Put the version in place of the live one; returns the key of the version it retires."""
    retired = document.live_version_pk
    if retired is not None:
        connection.execute(
            update(schema.versions).where(schema.versions.c.pk == retired).values(state="retired", retired_at=now())
        )
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == document.pk)
        .values(live_version_pk=version_pk, status="indexing" if retired is None else "ready", updated_at=now())
    )
    return int(retired) if retired is not None else None


def _store_facts(
    connection: Connection,
    collection: Collection,
    document: Row[Any],
    prepared: _Prepared,
    settings: IngestSettings,
) -> None:
    """Columns of the document that filters and ranking read."""
    parsed, task = prepared.parsed, prepared.task
    assert parsed is not None
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == task.document_pk)
        .values(
            title=_title(prepared),
            language=prepared.language,
            media_type=task.media_type,
            error_code=None,
            error_message=None,
        )
    )
    source = task.metadata.get("source")
    credibility = Credibility(
        source=source_prior(collection.source_priors, task.document_id, source if isinstance(source, str) else None),
        freshness=freshness(_document_date(prepared), datetime.now(UTC).date(), settings.freshness_half_life_days),
        corroboration=document.credibility_corroboration,
        feedback=document.credibility_feedback,
        extraction=parsed.quality,
    )
    store(connection, task.document_pk, credibility)


def _settle_indexed(connection: Connection, job_pk: int, published: int) -> int:
    """Documents of the job up to seq `published` are searchable: they have succeeded, and are ready.

    Returns how many.
    """
    parts, documents = schema.job_documents, schema.documents
    indexed = (parts.c.job_pk == job_pk) & (parts.c.state == "running") & (parts.c.seq <= published)
    keys = list(connection.execute(select(parts.c.document_pk).where(indexed)).scalars())
    if keys:
        connection.execute(
            update(documents)
            .where(
                documents.c.status == "indexing",
                documents.c.pk.in_(select(parts.c.document_pk).where(indexed)),
            )
            .values(status="ready")
        )
        connection.execute(update(parts).where(indexed).values(state="succeeded"))
    return len(keys)


def _record_lines(
    connection: Connection,
    job_pk: int,
    collection: Collection,
    corpus: Row[Any],
    lines: Sequence[tuple[int, CorpusLine | BadLine]],
    *,
    last: bool = False,
) -> None:
    try:
        check_collection(connection, collection)
    except NotFound as deleted:
        raise JobCancelled from deleted
    for number, line in lines:
        if isinstance(line, BadLine):
            _record_bad_line(connection, job_pk, corpus, number, line.problem)
        else:
            _record_line(connection, job_pk, collection, corpus, number, line)
    payload = {**corpus.payload, "line": lines[-1][0] if lines else corpus.payload["line"]}
    connection.execute(
        update(schema.job_documents)
        .where(schema.job_documents.c.pk == corpus.pk)
        .values(payload=payload, state="succeeded" if last else "queued")
    )
    settle_job_counts(connection, job_pk)


def _record_line(
    connection: Connection,
    job_pk: int,
    collection: Collection,
    corpus: Row[Any],
    number: int,
    line: CorpusLine,
) -> None:
    try:
        check_document_id(line.document_id)
    except InvalidInput as failure:
        _record_bad_line(connection, job_pk, corpus, number, failure.message)
        return
    content = line.canonical()
    upload = Upload(
        document_id=line.document_id,
        filename=corpus.filename,
        media_type=CORPUS_LINE_MEDIA_TYPE,
        blob=Blob(line.sha256, len(content), content[:0]),
        metadata={**line.metadata, **corpus.payload["metadata"]},
        access=corpus.payload["access"],
    )
    source = {"title": line.title, "metadata": dict(line.metadata)}
    document_pk, version_pk, unchanged = put_version(
        connection, collection, upload, job_pk, has_blob=False, source_metadata=source
    )
    if not unchanged:
        connection.execute(insert(schema.version_texts).values(version_pk=version_pk, text=line.text))
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk,
            document_pk=document_pk,
            version_pk=version_pk,
            document_id=line.document_id,
            filename=corpus.filename,
            kind="line",
            stage="parsing",
            state="unchanged" if unchanged else "queued",
        )
    )


def _record_bad_line(connection: Connection, job_pk: int, corpus: Row[Any], number: int, problem: str) -> None:
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk,
            document_id=f"{corpus.filename}#{number}"[:400],
            filename=corpus.filename,
            kind="line",
            stage="parsing",
            state="failed",
            error_code="invalid_line",
            error_message=f"line {number} {problem}",
        )
    )


def _fail_corpus(connection: Connection, job_pk: int, corpus: Row[Any], error: CitewellError) -> None:
    connection.execute(
        update(schema.job_documents)
        .where(schema.job_documents.c.pk == corpus.pk)
        .values(state="failed", error_code=error.code, error_message=error.message)
    )
    settle_job_counts(connection, job_pk)
