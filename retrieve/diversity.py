"""Variety among hits: what repeats a better hit gives way to what says something else.

Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from ingest.catalogue import Catalogue, schema
from retrieve.query import Hit


def diversified(hits: Sequence[Hit], vectors: NDArray[np.float32], *, diversity: float, top_k: int) -> list[Hit]:
    """The first `top_k` by (1 - diversity) * relevance - diversity * similarity to the nearest hit already chosen.

    `vectors` is float32 of shape (len(hits), dim), rows of length 1; similarity is their inner product. Relevance is
    the score scaled to [0, 1] over the hits. Scores stay as they are, so that they need not fall any more.
    """
    scores = np.array([hit.score for hit in hits])
    spread = scores.max() - scores.min() if hits else 0.0
    relevance = (scores - scores.min()) / spread if spread else np.ones(len(hits))
    nearest, left, chosen = np.zeros(len(hits)), np.ones(len(hits), np.bool_), list[Hit]()
    while len(chosen) < min(top_k, len(hits)):
        marginal = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(marginal.argmax())
        chosen.append(hits[best])
        left[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return chosen


def vectors_of(catalogue: Catalogue, hits: Sequence[Hit]) -> NDArray[np.float32]:
    """The stored vectors of the hits' chunks, float32 of shape (len(hits), dim); zeros for a purged one."""
    table = schema.chunk_vectors
    keys = [int(hit.chunk_id) for hit in hits]
    with catalogue.read() as connection:
        rows = connection.execute(select(table.c.chunk_pk, table.c.vector).where(table.c.chunk_pk.in_(keys))).all()
    known = {row.chunk_pk: np.frombuffer(row.vector, dtype="<f4") for row in rows}
    empty = np.zeros(max((len(vector) for vector in known.values()), default=1), np.float32)
    return np.array([known.get(key, empty) for key in keys], np.float32).reshape(len(keys), len(empty))
