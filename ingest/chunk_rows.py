"""Rows of chunks and their vectors."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from ingest.catalogue import schema
from ingest.chunking import Chunk
from ingest.models import FloatArray


def store_chunks(
    connection: Connection,
    version_pk: int,
    generation_pk: int,
    text: str,
    chunks: Sequence[Chunk],
    vectors: FloatArray,
) -> None:
    """Write the chunks of a version in a generation; `text` is the version's, `vectors` of shape (chunks, dimensions).

    Vectors are stored as little-endian float32.
    """
    if not chunks:
        return
    rows = [
        {
            "version_pk": version_pk,
            "generation_pk": generation_pk,
            "ordinal": chunk.ordinal,
            "char_start": chunk.start,
            "char_end": chunk.end,
            "tokens": chunk.tokens,
            "page": chunk.page,
            "heading": chunk.heading,
            "text": text[chunk.start : chunk.end],
        }
        for chunk in chunks
    ]
    keys = connection.execute(
        insert(schema.chunks).returning(schema.chunks.c.pk, sort_by_parameter_order=True), rows
    ).scalars()
    blobs = [{"chunk_pk": key, "vector": row.tobytes()} for key, row in zip(keys, vectors.astype("<f4"), strict=True)]
    connection.execute(insert(schema.chunk_vectors), blobs)
