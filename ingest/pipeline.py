"""The ingest job: parse, chunk, embed, commit, wait for the index.

Documents are parsed (in worker processes) and chunked ahead while earlier ones are embedded and committed. A group of
documents is committed in one transaction with its chunks, vectors and index-change rows, so that after a kill each
document is there whole or not at all; the job, run again, goes on with the documents that have not ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection, select

from ingest.attachments import StoredAttachment, nesting_depth, store_attachments
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunking import Chunk, ChunkShape, chunk_document
from ingest.collections import Collection, load_collection_by_key
from ingest.commit import Committer, document_deleted, settle_indexed
from ingest.documents import Passwords, outcome
from ingest.embedding import embed_group
from ingest.errors import CitewellError, ExtractionFailed, Unavailable
from ingest.expansion import CorpusExpander
from ingest.generations import Generation, GenerationReplaced, GenerationSpec
from ingest.index_log import IndexProgress
from ingest.jobs import Job, JobContext, settle_job_counts
from ingest.language import detect_language
from ingest.lookahead import GROUP_CHUNKS, Lookahead
from ingest.models import Encoder, FloatArray, ModelRuntime
from ingest.near_duplicates import signature_of
from ingest.originals import remove_unneeded
from ingest.parsing.document import ParsedDocument, SourceFile
from ingest.prepared import Prepared, Task
from ingest.reindexing import CommitLocks
from ingest.reuse import find_twin, reusable_facts
from ingest.settings import IngestSettings

_LOG = logging.getLogger(__name__)
_TASKS_PER_QUERY = 128
_GROUPS_EMBEDDED = 8
_CHUNKS_EMBEDDED = 2 * GROUP_CHUNKS  # while the model works on one group, the next is tokenised and queued behind it
_CHECK_S = 0.5
_INDEX_WAIT_S = 600.0
_INDEX_POLL_S = 1.0


class DocumentParser(Protocol):
    """Parses in a process of its own; thread-safe."""

    def parse(self, source: SourceFile, *, given_up: threading.Event) -> ParsedDocument:
        """Raises `ExtractionFailed`, and `Unavailable` soon after `given_up` is set."""
        ...


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
        locks: CommitLocks,
    ) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._parser = parser
        self._runtime = runtime
        self._encoder_for = encoder_for
        self._progress = progress
        self._passwords = passwords
        self._settings = settings
        self._expander = CorpusExpander(catalogue, blobs, decompressed_bytes_max=settings.parse_decompressed_max_bytes)
        self._committer = Committer(catalogue, blobs, settings, locks)

    def run(self, job: Job, context: JobContext) -> str:
        with self._catalogue.read() as connection:
            collection = load_collection_by_key(connection, job.collection_pk)
        self._expander.expand(job, collection, context)
        self._process(job, collection, context)
        context.report_stage("indexing")
        self._await_index(job, collection, context)
        return self._outcome(job)

    def _process(self, job: Job, collection: Collection, context: JobContext) -> None:
        """Three things at once: documents are prepared, one group is embedded and the next waits, one is committed."""
        run = _Run(job, collection, _StageCounts(job, context))
        embedded: deque[_Embedding] = deque()
        with (
            self._tidied(run),
            ThreadPoolExecutor(_GROUPS_EMBEDDED, thread_name_prefix="embed") as executor,
            Lookahead(
                lambda task: self._prepare(task, run),
                self._tasks(job),
                workers=self._settings.parse_workers,
            ) as ahead,
            ExitStack() as stack,
        ):
            stack.callback(
                run.given_up.set
            )  # what a cancelled job has in a parser or in the model's queue is left undone
            while ahead or embedded:
                context.check()
                room = bool(ahead) and _has_room(embedded)
                awaited: list[Future[Any]] = [ahead.next] if room else []
                if embedded:
                    awaited.append(embedded[0][1])
                if not wait(awaited, _CHECK_S, FIRST_COMPLETED).done:
                    continue
                if room and ahead.is_ready:
                    group = ahead.take()
                    made = executor.submit(self._embedded, run, group, partial(run.passed.add, "embedding"))
                    embedded.append((group, made))
                    continue
                group, made = embedded.popleft()
                self._store(run, made.result())
                ahead.give_back(group)
                if not ahead and not embedded:  # attachments of what was committed are at the queue's end
                    ahead.restart(self._tasks(job))

    @contextmanager
    def _tidied(self, run: _Run) -> Iterator[None]:
        """At the end, attachments go whose mail was not committed: cancelled, or replaced before its turn came."""
        try:
            yield
        finally:
            try:
                remove_unneeded(self._catalogue, self._blobs, run.attached)
            except CitewellError as failure:  # the next start removes them
                _LOG.warning("attachments that nothing refers to stay: %s", failure)

    def _tasks(self, job: Job) -> Iterator[Task]:
        last = 0
        while True:
            with self._catalogue.read() as connection:
                page = _queued_tasks(connection, job.pk, after=last, limit=_TASKS_PER_QUERY)
            if not page:
                return
            last = page[-1].job_document_pk
            yield from page

    def _prepare(self, task: Task, run: _Run) -> Prepared:
        try:
            password = self._passwords.take(task.version_pk)
            prepared = self._copied(task, run)
            if prepared is None:
                parsed = self._parse(task, password, run.given_up)
                run.passed.add("parsing", 1)
                prepared = self._made(task, parsed, password, run)
            run.passed.add("chunking", 1)
            assert prepared.parsed is not None
            return replace(prepared, signature=signature_of(prepared.parsed.text))
        except ExtractionFailed as failure:
            return Prepared(task, error=failure)
        except CitewellError:
            raise
        except Exception as failure:  # noqa: BLE001 - one document that nobody foresaw must not fail all the others
            _LOG.exception("document %s cannot be prepared", task.document_id)
            message = f"{type(failure).__name__} while reading the document; see the service's log"
            return Prepared(task, error=ExtractionFailed(message, code="internal_error"))

    def _copied(self, task: Task, run: _Run) -> Prepared | None:
        """What was made of the same bytes before, if anything was."""
        if task.is_line:
            return None
        collection = run.collection
        twin = find_twin(self._catalogue, collection, task.sha256, task.media_type)
        if twin is None:
            return None
        run.passed.add("parsing", 1)
        facts = reusable_facts(twin.parsed, password=False)
        generation_pk = collection.live_generation.pk
        prepared = Prepared(task, twin.parsed, twin.chunks, twin.language, generation_pk=generation_pk, facts=facts)
        return replace(prepared, vectors=twin.vectors) if prepared.title == twin.title else prepared

    def _made(self, task: Task, parsed: ParsedDocument, password: str | None, run: _Run) -> Prepared:
        collection = run.collection
        chunks = self._chunked(parsed, collection.live_generation)
        attachments = self._attachments(task, parsed)
        run.attached.update(one.blob.sha256 for one in attachments)
        facts = {} if task.is_line else reusable_facts(parsed, password=password is not None)
        generation_pk = collection.live_generation.pk
        return Prepared(task, parsed, chunks, detect_language(parsed.text), attachments, generation_pk, facts)

    def _chunked(self, parsed: ParsedDocument, generation: Generation) -> list[Chunk]:
        spec = generation.spec
        return chunk_document(parsed, self._encoder_for(spec), ChunkShape(spec.chunk_tokens, spec.overlap_tokens))

    def _parse(self, task: Task, password: str | None, given_up: threading.Event) -> ParsedDocument:
        if task.is_line:
            text, limit = self._recorded_text(task.version_pk), self._settings.parse_text_max_chars
            if len(text) > limit:
                raise ExtractionFailed(
                    f"document {task.document_id} holds more than {limit:,} characters; split it", code="too_large"
                )
            return ParsedDocument(text, task.title, parser="corpus")
        source = SourceFile(self._blobs.path(task.sha256), task.filename, task.media_type, password)
        return self._parser.parse(source, given_up=given_up)

    def _attachments(self, task: Task, parsed: ParsedDocument) -> tuple[StoredAttachment, ...]:
        if not parsed.attachments:
            return ()
        with self._catalogue.read() as connection:
            depth = nesting_depth(connection, task.document_pk) + 1
        return store_attachments(
            self._blobs,
            parsed.attachments,
            max_bytes=self._settings.upload_max_bytes,
            depth=depth,
            depth_max=self._settings.attachment_depth_max,
        )

    def _recorded_text(self, version_pk: int) -> str:
        texts = schema.version_texts
        with self._catalogue.read() as connection:
            text = connection.execute(select(texts.c.text).where(texts.c.version_pk == version_pk)).scalar()
        if text is None:
            raise document_deleted()
        return str(text)

    def _store(self, run: _Run, made: _Embedded) -> None:
        """Commit the group; made anew for the generation that is live by now, where a re-index ended meanwhile."""
        while True:
            try:
                self._commit(run.job, made.collection, made.group, made.vectors)
                return
            except GenerationReplaced:
                with self._catalogue.read() as connection:
                    run.collection = load_collection_by_key(connection, made.collection.pk)
                made = self._embedded(run, made.group)

    def _embedded(self, run: _Run, group: Sequence[Prepared], passed: Callable[[int], None] | None = None) -> _Embedded:
        """`passed` is told of documents that are through the model, unless it was before."""
        collection = run.collection
        fitting = [self._fitting(prepared, collection.live_generation) for prepared in group]
        encoder = self._encoder_for(collection.live_generation.spec)
        return _Embedded(collection, fitting, embed_group(self._runtime, encoder, fitting, run.given_up, passed))

    def _fitting(self, prepared: Prepared, generation: Generation) -> Prepared:
        """The document as the generation chunks it: again, where a re-index ended since it was prepared."""
        if prepared.parsed is None or prepared.generation_pk == generation.pk:
            return prepared
        chunks = self._chunked(prepared.parsed, generation)
        return replace(prepared, chunks=chunks, vectors=None, generation_pk=generation.pk)

    def _commit(self, job: Job, collection: Collection, group: Sequence[Prepared], vectors: FloatArray) -> None:
        published = self._progress.published(collection.pk)
        self._committer.commit(job.pk, collection, group, vectors, published=published)
        self._progress.notify(collection.pk)

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
            settle_indexed(connection, job.pk, seq)
            settle_job_counts(connection, job.pk)

        self._catalogue.write(settle)

    def _outcome(self, job: Job) -> str:
        with self._catalogue.read() as connection:
            counts = connection.execute(
                select(schema.jobs.c.failed, schema.jobs.c.total).where(schema.jobs.c.pk == job.pk)
            ).one()
        return outcome(counts.failed, counts.total)


def _has_room(embedded: Sequence[_Embedding]) -> bool:
    """The model has less to do than one group and another behind it; small groups may be more."""
    chunks = sum(len(prepared.chunks) for group, _ in embedded for prepared in group)
    return len(embedded) < _GROUPS_EMBEDDED and chunks < _CHUNKS_EMBEDDED


@dataclass(slots=True)
class _Run:
    """A job at work: its collection as last seen (a re-index may end meanwhile), and the attachments that it stored."""

    job: Job
    collection: Collection
    passed: _StageCounts
    given_up: threading.Event = field(default_factory=threading.Event)
    attached: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Embedded:
    """A group as the live generation of `collection` wants it; `vectors` as `Committer.commit` takes them."""

    collection: Collection
    group: Sequence[Prepared]
    vectors: FloatArray


_Embedding = tuple[list[Prepared], Future[_Embedded]]
"""A group on its way through the model."""


class _StageCounts:
    """How many documents of a job have passed each stage, those that had ended before counted in. Thread-safe."""

    def __init__(self, job: Job, context: JobContext) -> None:
        self._context = context
        self._counts = dict.fromkeys(("parsing", "chunking", "embedding"), job.done)
        self._lock = threading.Lock()

    def add(self, stage: str, documents: int) -> None:
        with self._lock:
            self._counts[stage] += documents
            count = self._counts[stage]
        self._context.report_progress(stage, count)


def _queued_tasks(connection: Connection, job_pk: int, *, after: int, limit: int) -> list[Task]:
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
        Task(
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
