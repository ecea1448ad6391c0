"""Bytes that were ingested before under another id: their text, chunks and vectors are copied, not made again.

Only within a collection, and only what was read without a password: whoever sends the same bytes could read the same.
Vectors depend on the title too; where it differs, the chunks are embedded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, select

from ingest.catalogue import Catalogue, schema
from ingest.chunking import Chunk
from ingest.collections import Collection
from ingest.models import FloatArray
from ingest.parsing.document import Heading, Page, ParsedDocument

_KEY = "parsed"


@dataclass(frozen=True, slots=True)
class Twin:
    """What was made of the same bytes; `vectors` of shape (chunks, dimensions) belong to the version's `title`."""

    parsed: ParsedDocument
    chunks: tuple[Chunk, ...]
    vectors: FloatArray
    title: str | None
    language: str | None


def reusable_facts(parsed: ParsedDocument, *, password: bool) -> dict[str, Any]:
    """What a version keeps in `source_metadata` so that it may be a twin; empty when it may not.

    A mail with attachments may not: those are documents of its own.
    """
    if password or parsed.attachments:
        return {}
    day = parsed.document_date
    return {_KEY: {"title": parsed.title, "date": day.isoformat() if day else None}}


def find_twin(catalogue: Catalogue, collection: Collection, sha256: str, media_type: str) -> Twin | None:
    """A version with these bytes, ingested into the collection's live generation; None when there is none."""
    with catalogue.read() as connection:
        for row in connection.execute(_candidates(collection, sha256, media_type)):
            if _KEY not in row.source_metadata:
                continue
            twin = _load(connection, collection, row)
            if twin is not None:
                return twin
    return None


def _candidates(collection: Collection, sha256: str, media_type: str) -> Any:
    versions, documents, texts = schema.versions, schema.documents, schema.version_texts
    return (
        select(versions, texts.c.text)
        .select_from(
            versions.join(documents, documents.c.pk == versions.c.document_pk).join(
                texts, texts.c.version_pk == versions.c.pk
            )
        )
        .where(
            versions.c.sha256 == sha256,
            versions.c.media_type == media_type,
            versions.c.state.in_(("live", "retired")),
            documents.c.collection_pk == collection.pk,
            documents.c.tombstoned_at.is_(None),
        )
        .order_by(versions.c.pk.desc())
        .limit(3)
    )


def _load(connection: Connection, collection: Collection, version: Row[Any]) -> Twin | None:
    chunks, vectors = schema.chunks, schema.chunk_vectors
    query = (
        select(chunks, vectors.c.vector)
        .select_from(chunks.join(vectors, vectors.c.chunk_pk == chunks.c.pk))
        .where(chunks.c.version_pk == version.pk, chunks.c.generation_pk == collection.live_generation.pk)
        .order_by(chunks.c.ordinal)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    facts = version.source_metadata[_KEY]
    parsed = ParsedDocument(
        text=version.text,
        title=facts["title"],
        pages=tuple(Page(*page) for page in version.page_spans),
        headings=tuple(Heading(*heading) for heading in version.headings or ()),
        document_date=date.fromisoformat(facts["date"]) if facts["date"] else None,
        quality=version.quality,
        parser=version.parser,
    )
    return Twin(
        parsed=parsed,
        chunks=tuple(
            Chunk(row.ordinal, row.char_start, row.char_end, row.tokens, row.page, row.heading) for row in rows
        ),
        vectors=np.stack([np.frombuffer(row.vector, dtype="<f4") for row in rows]).astype(np.float32),
        title=version.title,
        language=version.language,
    )
