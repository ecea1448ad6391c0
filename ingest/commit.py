"""Committing a group of prepared documents: text, chunks, vectors and index-change rows, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ingest.attachments import StoredAttachment, record_attachments
from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunk_rows import store_chunks
from ingest.chunking import Chunk
from ingest.clock import now
from ingest.collections import Collection
from ingest.corpus import CORPUS_LINE_MEDIA_TYPE
from ingest.credibility import NEW_TEXT_DUE, Credibility, freshness, mark_supported, source_prior, stated_date
from ingest.documents import fail_version
from ingest.errors import CitewellError, ExtractionFailed
from ingest.generations import check_live
from ingest.index_log import append_change
from ingest.models import FloatArray
from ingest.near_duplicates import Signature, link
from ingest.parsing.document import ParsedDocument
from ingest.reindexing import CommitLocks
from ingest.settings import IngestSettings


@dataclass(frozen=True, slots=True)
class Task:
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
class Prepared:
    """A parsed and chunked document, or why it could not be; `generation_pk` is the generation it was chunked for.

    `facts` are kept with a file's version for those who send the same bytes (`ingest.reuse`); `vectors`, of shape
    (chunks, dimensions), are there where such a version had them already; `signature` finds near duplicates.
    """

    task: Task
    parsed: ParsedDocument | None = None
    chunks: Sequence[Chunk] = ()
    language: str | None = None
    attachments: tuple[StoredAttachment, ...] = ()
    generation_pk: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    vectors: FloatArray | None = None
    signature: Signature | None = None
    error: CitewellError | None = None


class Committer:
    """Commits groups of prepared documents. After a kill each document is there whole or not at all."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, settings: IngestSettings, locks: CommitLocks) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._settings = settings
        self._locks = locks

    def commit(
        self,
        job_pk: int,
        collection: Collection,
        group: Sequence[Prepared],
        vectors: FloatArray,
        *,
        published: int,
    ) -> None:
        """Make the documents live, or record their failures; those of the job up to seq `published` are ready.

        `vectors` is of shape (chunks of the group, dimensions), in the order of documents and chunks. Raises
        `GenerationReplaced`, and commits nothing, when another generation is live by now than that of `collection`.
        """

        def change(connection: Connection) -> None:
            check_live(connection, collection.pk, collection.live_generation)
            self._commit_group(connection, job_pk, collection, group, vectors, published)

        with self._locks.of(collection.pk):
            self._catalogue.write(change)

    def _commit_group(
        self,
        connection: Connection,
        job_pk: int,
        collection: Collection,
        group: Sequence[Prepared],
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
                done=table.c.done + ended + settle_indexed(connection, job_pk, published),
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
        prepared: Prepared,
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
        error = document_deleted() if document.tombstoned_at is not None else prepared.error
        if error is not None:
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


def title_of(prepared: Prepared) -> str | None:
    """The caller's title, else the document's own, else the file name without its ending (a corpus line has none)."""
    task = prepared.task
    given = task.metadata.get("title")
    own = prepared.parsed.title if prepared.parsed else None
    if isinstance(given, str) and given.strip():
        return given.strip()
    return own or (None if task.media_type == CORPUS_LINE_MEDIA_TYPE else PurePosixPath(task.filename).stem)


def document_deleted() -> ExtractionFailed:
    return ExtractionFailed("the document was deleted during its ingestion", code="document_deleted")


def _document_date(prepared: Prepared) -> date | None:
    return stated_date(prepared.task.metadata, prepared.parsed.document_date if prepared.parsed else None)


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
    prepared: Prepared,
    vectors: FloatArray,
    settings: IngestSettings,
) -> int:
    """Text, chunks and vectors of the version, in place of the live one; returns the seq of the change."""
    _store_version(connection, prepared)
    assert prepared.parsed is not None
    generation_pk, text = collection.live_generation.pk, prepared.parsed.text
    store_chunks(connection, prepared.task.version_pk, generation_pk, text, prepared.chunks, vectors)
    retired = _make_live(connection, document, prepared.task.version_pk)
    _store_facts(connection, collection, document, prepared, settings)
    assert prepared.signature is not None
    link(connection, collection.pk, document.pk, prepared.task.version_pk, prepared.signature)
    return append_change(connection, collection.pk, add=prepared.task.version_pk, retire=retired)


def _store_version(connection: Connection, prepared: Prepared) -> None:
    parsed, task = prepared.parsed, prepared.task
    assert parsed is not None
    day = _document_date(prepared)
    facts = {"source_metadata": dict(prepared.facts)} if prepared.facts else {}
    if task.media_type != CORPUS_LINE_MEDIA_TYPE:
        connection.execute(insert(schema.version_texts).values(version_pk=task.version_pk, text=parsed.text))
    connection.execute(
        update(schema.versions)
        .where(schema.versions.c.pk == task.version_pk)
        .values(
            state="live",
            title=title_of(prepared),
            language=prepared.language,
            pages=len(parsed.pages) or None,
            page_spans=[[page.number, page.start, page.end] for page in parsed.pages],
            headings=[[heading.level, heading.title, heading.start] for heading in parsed.headings],
            chars=len(parsed.text),
            document_date=day.isoformat() if day else None,
            quality=parsed.quality,
            parser=parsed.parser,
            live_at=now(),
            **facts,
        )
    )


def _make_live(connection: Connection, document: Row[Any], version_pk: int) -> int | None:
    """Put the version in place of the live one; returns the key of the version it retires."""
    retired = document.live_version_pk
    versions = schema.versions
    failed = (versions.c.document_pk == document.pk) & (versions.c.state == "failed")
    connection.execute(
        update(versions)
        .where(failed, versions.c.pk < version_pk, versions.c.retired_at.is_(None))
        .values(retired_at=now())
    )
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
    prepared: Prepared,
    settings: IngestSettings,
) -> None:
    """Columns of the document that filters and ranking read."""
    parsed, task = prepared.parsed, prepared.task
    assert parsed is not None
    credibility = Credibility(
        source=source_prior(collection.source_priors, task.document_id, task.metadata),
        freshness=freshness(_document_date(prepared), datetime.now(UTC).date(), settings.freshness_half_life_days),
        corroboration=document.credibility_corroboration,
        feedback=document.credibility_feedback,
        extraction=parsed.quality,
    )
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == task.document_pk)
        .values(
            title=title_of(prepared),
            language=prepared.language,
            media_type=task.media_type,
            error_code=None,
            error_message=None,
            credibility=credibility.score,
            credibility_source=credibility.source,
            credibility_freshness=credibility.freshness,
            credibility_extraction=credibility.extraction,
            credibility_due=NEW_TEXT_DUE,
        )
    )
    if document.live_version_pk is not None:
        mark_supported(connection, [document.pk])


def settle_indexed(connection: Connection, job_pk: int, published: int) -> int:
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
