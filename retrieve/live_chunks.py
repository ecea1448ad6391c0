"""The chunks that a generation's index must hold, as the catalogue knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, select

from ingest.catalogue import schema
from ingest.chunking import contextual_text


def _chunk_columns() -> Select[tuple[object, ...]]:
    chunks, vectors, versions = schema.chunks, schema.chunk_vectors, schema.versions
    return select(
        chunks.c.pk, chunks.c.version_pk, chunks.c.heading, chunks.c.text, versions.c.title, vectors.c.vector
    ).select_from(
        chunks.join(vectors, vectors.c.chunk_pk == chunks.c.pk).join(versions, versions.c.pk == chunks.c.version_pk)
    )


def live_chunks(collection_pk: int, generation_pk: int) -> Select[tuple[object, ...]]:
    documents, chunks = schema.documents, schema.chunks
    live = select(documents.c.live_version_pk).where(
        documents.c.collection_pk == collection_pk, documents.c.live_version_pk.is_not(None)
    )
    return (
        _chunk_columns()
        .where(chunks.c.generation_pk == generation_pk, chunks.c.version_pk.in_(live))
        .order_by(chunks.c.version_pk, chunks.c.ordinal)
    )


def chunks_of(version_pks: Sequence[int], generation_pk: int) -> Select[tuple[object, ...]]:
    chunks = schema.chunks
    return (
        _chunk_columns()
        .where(chunks.c.generation_pk == generation_pk, chunks.c.version_pk.in_(version_pks))
        .order_by(chunks.c.version_pk, chunks.c.ordinal)
    )


def count_live_chunks(connection: Connection, collection_pk: int, generation_pk: int) -> int:
    """Chunks of the generation that belong to live versions: what its indexes must hold."""
    chunks, documents = schema.chunks, schema.documents
    query = (
        select(func.count())
        .select_from(chunks.join(documents, chunks.c.version_pk == documents.c.live_version_pk))
        .where(documents.c.collection_pk == collection_pk, chunks.c.generation_pk == generation_pk)
    )
    return int(connection.execute(query).scalar_one())


def live_keys(
    connection: Connection, collection_pk: int, generation_pk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chunk keys, ascending, and the version key of each: int64 arrays of shape (n,)."""
    chunks, documents = schema.chunks, schema.documents
    query = (
        select(chunks.c.pk, chunks.c.version_pk)
        .select_from(chunks.join(documents, chunks.c.version_pk == documents.c.live_version_pk))
        .where(documents.c.collection_pk == collection_pk, chunks.c.generation_pk == generation_pk)
        .order_by(chunks.c.pk)
    )
    keys = np.array([tuple(row) for row in connection.execute(query)], np.int64).reshape(-1, 2)
    return keys[:, 0], keys[:, 1]


def stored_vectors(connection: Connection, chunk_pks: Sequence[int]) -> dict[int, bytes]:
    """Vectors of some hundred chunks as they are stored, little-endian float32, by chunk key."""
    vectors = schema.chunk_vectors
    query = select(vectors.c.chunk_pk, vectors.c.vector).where(vectors.c.chunk_pk.in_(chunk_pks))
    return {row.chunk_pk: row.vector for row in connection.execute(query)}


def texts_of(connection: Connection, chunk_pks: Sequence[int]) -> dict[int, str]:
    """What is indexed of some hundred chunks, by chunk key."""
    query = _chunk_columns().where(schema.chunks.c.pk.in_(chunk_pks))
    return {row.pk: contextual_text(row.title, row.heading, row.text) for row in connection.execute(query)}
