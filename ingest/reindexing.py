"""Another generation beside the live one: chunks and vectors of every live version, from the stored texts.

Nothing is parsed again: an extracted text is immutable. Each version is committed whole, with a row of the log that
concerns the new generation only; killed at any moment, the build goes on with the versions that have no chunks yet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, select, update

from ingest.catalogue import Catalogue, schema
from ingest.chunk_rows import VersionChunks, store_chunks
from ingest.chunking import Chunk, ChunkShape, chunk_document, contextual_text
from ingest.clock import now
from ingest.generations import Generation, GenerationSpec
from ingest.index_log import append_changes
from ingest.jobs import JobContext
from ingest.models import Encoder, ModelRuntime, Priority
from ingest.parsing.document import Heading, Page, ParsedDocument

_GROUP_VERSIONS = 32
_GROUP_CHARS = 200_000
_PRUNED_CHUNKS = 5_000


class CommitLocks:
    """A lock for each collection: held while a group of documents is committed, and by a re-index for its last step.

    So the last documents can be taken into the new generation before the swap, however fast others arrive.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}

    def of(self, collection_pk: int) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(collection_pk, threading.Lock())


@dataclass(frozen=True, slots=True)
class _Version:
    """A live version, as far as chunking reads it."""

    pk: int
    parsed: ParsedDocument


class GenerationBuilder:
    """Fills a generation from the texts of the live versions. `encoder_for` gives its (loaded) encoder."""

    def __init__(
        self, catalogue: Catalogue, runtime: ModelRuntime, encoder_for: Callable[[GenerationSpec], Encoder]
    ) -> None:
        self._catalogue = catalogue
        self._runtime = runtime
        self._encoder_for = encoder_for

    def build(self, collection_pk: int, generation: Generation, job_pk: int, context: JobContext) -> int:
        """Give every live version that has none its chunks in `generation`; returns how many versions that were."""
        with self._catalogue.read() as connection:
            rows = connection.execute(_missing(collection_pk, generation.pk)).all()
        self._catalogue.write(lambda connection: _count_left(connection, collection_pk, job_pk, len(rows)))
        for keys in _groups(rows):
            context.check()
            self._build_some(collection_pk, generation, job_pk, self._load(keys))
        return len(rows)

    def missing(self, collection_pk: int, generation_pk: int) -> int:
        """Live versions that have yet to get chunks in the generation."""
        with self._catalogue.read() as connection:
            return count_missing(connection, collection_pk, generation_pk)

    def _load(self, keys: Sequence[int]) -> list[_Version]:
        versions, texts = schema.versions, schema.version_texts
        query = select(versions, texts.c.text).join(texts, texts.c.version_pk == versions.c.pk)
        with self._catalogue.read() as connection:
            rows = connection.execute(query.where(versions.c.pk.in_(keys)).order_by(versions.c.pk))
            return [_Version(row.pk, _parsed(row)) for row in rows]

    def _build_some(
        self, collection_pk: int, generation: Generation, job_pk: int, versions: Sequence[_Version]
    ) -> None:
        spec = generation.spec
        encoder, shape = self._encoder_for(spec), ChunkShape(spec.chunk_tokens, spec.overlap_tokens)
        chunked = [(version, chunk_document(version.parsed, encoder, shape)) for version in versions]
        texts = [_embedded_text(version.parsed, chunk) for version, chunks in chunked for chunk in chunks]
        vectors = self._runtime.embed(encoder, texts, kind="document", priority=Priority.BULK)

        def change(connection: Connection) -> None:
            begin, built = 0, []
            for version, chunks in chunked:
                rows = vectors[begin : begin + len(chunks)]
                begin += len(chunks)
                if _lacks_chunks(connection, version.pk, generation.pk):
                    built.append(VersionChunks(version.pk, version.parsed.text, chunks, rows))
            store_chunks(connection, generation.pk, built)
            added = [(version.version_pk, None) for version in built]
            append_changes(connection, collection_pk, added, generation_pk=generation.pk)
            jobs = schema.jobs
            progress = {"done": jobs.c.done + len(versions), "attempts": 1, "updated_at": now()}
            connection.execute(update(jobs).where(jobs.c.pk == job_pk).values(**progress))

        self._catalogue.write(change)


def count_missing(connection: Connection, collection_pk: int, generation_pk: int) -> int:
    """Live versions with chunks in some generation, but not in this one."""
    counted = select(func.count()).select_from(_missing(collection_pk, generation_pk).subquery())
    return int(connection.execute(counted).scalar_one())


def _count_left(connection: Connection, collection_pk: int, job_pk: int, left: int) -> None:
    """Record in the job how many of the live versions are in the generation."""
    documents, jobs = schema.documents, schema.jobs
    live = select(func.count()).where(
        documents.c.collection_pk == collection_pk,
        documents.c.live_version_pk.is_not(None),
        documents.c.tombstoned_at.is_(None),
    )
    total = connection.execute(live).scalar_one()
    connection.execute(update(jobs).where(jobs.c.pk == job_pk).values(done=total - left, total=total))


def _groups(rows: Sequence[Row[Any]]) -> Iterator[list[int]]:
    """Keys of versions, up to 32 or 200,000 characters, but at least one at a time."""
    keys: list[int] = []
    chars = 0
    for row in rows:
        size = row.chars or 0
        if keys and (len(keys) == _GROUP_VERSIONS or chars + size > _GROUP_CHARS):
            yield keys
            keys, chars = [], 0
        keys.append(row.pk)
        chars += size
    if keys:
        yield keys


def delete_chunks(catalogue: Catalogue, generation_pk: int) -> None:
    """Delete the chunks of a generation with their vectors, some at a time: others write in between."""
    chunks = schema.chunks

    def change(connection: Connection) -> int:
        some = select(chunks.c.pk).where(chunks.c.generation_pk == generation_pk).limit(_PRUNED_CHUNKS)
        return connection.execute(delete(chunks).where(chunks.c.pk.in_(some))).rowcount

    while catalogue.write(change):
        continue


def _missing(collection_pk: int, generation_pk: int) -> Select[tuple[int, int | None]]:
    documents, versions, chunks = schema.documents, schema.versions, schema.chunks
    others = chunks.alias()
    return (
        select(versions.c.pk, versions.c.chars)
        .select_from(versions.join(documents, documents.c.pk == versions.c.document_pk))
        .where(
            documents.c.collection_pk == collection_pk,
            documents.c.live_version_pk == versions.c.pk,
            documents.c.tombstoned_at.is_(None),
            ~_has_chunks(versions.c.pk, generation_pk),
            select(others.c.pk).where(others.c.version_pk == versions.c.pk).exists(),
        )
        .order_by(versions.c.pk)
    )


def _has_chunks(version_pk: ColumnElement[int], generation_pk: int) -> ColumnElement[bool]:
    chunks = schema.chunks
    return (
        select(chunks.c.pk).where(chunks.c.version_pk == version_pk, chunks.c.generation_pk == generation_pk).exists()
    )


def _lacks_chunks(connection: Connection, version_pk: int, generation_pk: int) -> bool:
    """The version is live still, and nobody was faster."""
    documents, versions = schema.documents, schema.versions
    query = (
        select(versions.c.pk)
        .select_from(versions.join(documents, documents.c.pk == versions.c.document_pk))
        .where(
            versions.c.pk == version_pk,
            documents.c.live_version_pk == version_pk,
            ~_has_chunks(versions.c.pk, generation_pk),
        )
    )
    return connection.execute(query).first() is not None


def _parsed(row: Row[Any]) -> ParsedDocument:
    return ParsedDocument(
        text=row.text,
        title=row.title,
        pages=tuple(Page(*page) for page in row.page_spans),
        headings=tuple(Heading(*heading) for heading in row.headings or ()),
    )


def _embedded_text(parsed: ParsedDocument, chunk: Chunk) -> str:
    return contextual_text(parsed.title, chunk.heading, parsed.text[chunk.start : chunk.end])
