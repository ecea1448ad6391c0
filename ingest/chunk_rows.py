"""Rows of chunks and their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, insert

from ingest.catalogue import schema
from ingest.chunking import Chunk
from ingest.models import FloatArray


@dataclass(frozen=True, slots=True)
class VersionChunks:
    """The chunks of a version's `text`, with `vectors` of shape (chunks, dimensions)."""

    version_pk: int
    text: str
    chunks: Sequence[Chunk]
    vectors: FloatArray


def store_chunks(connection: Connection, generation_pk: int, versions: Sequence[VersionChunks]) -> None:
    """Write the chunks of versions in a generation, with their vectors as little-endian float32."""
    rows = [
        {
            "version_pk": version.version_pk,
            "generation_pk": generation_pk,
            "ordinal": chunk.ordinal,
            "char_start": chunk.start,
            "char_end": chunk.end,
            "tokens": chunk.tokens,
            "page": chunk.page,
            "heading": chunk.heading,
            "text": version.text[chunk.start : chunk.end],
        }
        for version in versions
        for chunk in version.chunks
    ]
    if not rows:
        return
    keys = connection.execute(
        insert(schema.chunks).returning(schema.chunks.c.pk, sort_by_parameter_order=True), rows
    ).scalars()
    vectors = np.concatenate([version.vectors for version in versions if len(version.chunks)]).astype("<f4")
    blobs = [{"chunk_pk": key, "vector": row.tobytes()} for key, row in zip(keys, vectors, strict=True)]
    connection.execute(insert(schema.chunk_vectors), blobs)
