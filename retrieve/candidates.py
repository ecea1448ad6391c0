"""What one index hands to fusion: chunk keys with scores, best first. Knows neither index nor query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Chunks found by one index, ordered by score, highest first; equal scores by chunk key, lowest first.

    `chunks` is an int64 array of shape (n,), `scores` a float32 array of shape (n,) in the unit of its index.
    Read-only. Built through `Candidates.best`, which makes the order true.
    """

    chunks: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.chunks)

    @classmethod
    def best(cls, chunks: NDArray[np.int64], scores: NDArray[np.float32], *, top_k: int) -> Candidates:
        """The `top_k` highest-scored of the given chunks; the arrays are of shape (n,), in any order."""
        order = np.lexsort((chunks, -scores))[:top_k]
        best = cls(chunks[order].astype(np.int64), scores[order].astype(np.float32))
        best.chunks.setflags(write=False)
        best.scores.setflags(write=False)
        return best

    def from_score(self, least: float) -> Candidates:
        """Those whose score is at least this."""
        found = int(np.count_nonzero(self.scores >= least))
        return self if found == len(self) else Candidates(self.chunks[:found], self.scores[:found])

    @classmethod
    def none(cls) -> Candidates:
        """No candidates: an empty index, an empty query, nothing allowed."""
        return cls.best(np.empty(0, np.int64), np.empty(0, np.float32), top_k=0)


def check_top_k(top_k: int) -> None:
    """Raises `InvalidInput` unless `top_k` is at least 1."""
    if top_k < 1:
        raise InvalidInput(f"top_k is {top_k}; ask for at least 1 candidate")
