"""Large segments on a GPU: their vectors in half precision, every one compared, many queries at once.

The segment's own index stays in main memory and is what is stored; the GPU has a copy that is faster. Indexes on a GPU
know no filters and are not thread-safe in FAISS: more is fetched than asked for and filtered here, what a filter leaves
too little of is left to the segment's own index, and one thread at a time searches, for all that wait. Whatever goes
wrong on the GPU is logged, and the segment's own index answers.
"""

from __future__ import annotations

import logging
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieve.vector.segment import SegmentIndex

_LOG = logging.getLogger(__name__)
_BYTES_PER_VALUE = 2
_MIB = 1 << 20
_SCRATCH_MIB = 64
_PART_ROWS = 200_000
"""Added at once, for the copy takes as much again while it grows."""

FETCHED_MAX = 2048
"""Most neighbours that FAISS finds on a GPU."""

_OVERFETCH = 2

Nearest = tuple[NDArray[np.int64], NDArray[np.float32]]


class Gpu:
    """One GPU and the memory that vectors may take there. Thread-safe."""

    def __init__(self, library: Any, budget_mib: int) -> None:
        self.library = library
        self.busy = threading.Lock()
        self.resources = library.StandardGpuResources()
        self.resources.setTempMemory(_SCRATCH_MIB * _MIB)
        self._free = budget_mib * _MIB
        self._counting = threading.Lock()

    @classmethod
    def detect(cls, budget_mib: int, library: Any = faiss) -> Gpu | None:
        """The first GPU; None, with the reason in the log, where there is none that FAISS can use."""
        if budget_mib == 0:
            return None
        if not hasattr(library, "StandardGpuResources"):
            _LOG.debug("vector search runs on the CPU: faiss-cpu is installed, not faiss-gpu")
            return None
        try:
            if library.get_num_gpus() == 0:
                _LOG.warning("vector search runs on the CPU: faiss-gpu is installed, but finds no GPU")
                return None
            return cls(library, budget_mib)
        except RuntimeError as failure:
            _LOG.warning("vector search runs on the CPU: the GPU cannot be used: %s", failure)
            return None

    def holding(self, index: SegmentIndex) -> SegmentIndex:
        """The index with a copy of its vectors on the GPU; the index itself where the copy does not fit."""
        dim = index.vectors(np.zeros(1, np.int64)).shape[1]
        size = len(index) * dim * _BYTES_PER_VALUE
        if not self._take(size):
            _LOG.warning(
                "%d vectors stay on the CPU: they take %d MiB of GPU memory, %d MiB of the budget are left",
                len(index),
                size // _MIB,
                self._free // _MIB,
            )
            return index
        try:
            vectors = _GpuVectors(self, index, dim)
        except RuntimeError as failure:
            self._give_back(size)
            _LOG.warning("%d vectors stay on the CPU: they cannot be copied to the GPU: %s", len(index), failure)
            return index
        weakref.finalize(vectors, self._give_back, size)
        return GpuSegmentIndex(index, vectors)

    def _take(self, size: int) -> bool:
        with self._counting:
            fits = size <= self._free
            self._free -= size if fits else 0
            return fits

    def _give_back(self, size: int) -> None:
        with self._counting:
            self._free += size


class GpuSegmentIndex:
    """Exact, in half precision, where the GPU answers; else as the index that it was made of."""

    def __init__(self, index: SegmentIndex, vectors: _GpuVectors) -> None:
        self._index = index
        self._copy: _GpuVectors | None = vectors

    @property
    def kind(self) -> str:
        """That of the index which is stored."""
        return self._index.kind

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None) -> Nearest:
        """Scores are those of the stored vectors, as without a GPU."""
        found = self._from_copy(query, top_k, mask)
        if found is None:
            return self._index.nearest(query, top_k=top_k, mask=mask)
        scores = self._index.vectors(found) @ query
        order = np.argsort(-scores, kind="stable")[:top_k]
        return found[order], scores[order]

    def rows(self) -> NDArray[np.int64]:
        return self._index.rows()

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._index.vectors(rows)

    def save(self, path: Path) -> None:
        self._index.save(path)

    def _from_copy(
        self, query: NDArray[np.float32], top_k: int, mask: NDArray[np.bool_] | None
    ) -> NDArray[np.int64] | None:
        """At least `top_k` allowed rows, the nearest among them; None where the GPU is of no use."""
        copy, fetched = self._copy, self._fetched(top_k, mask)
        if copy is None or fetched is None:
            return None
        rows = copy.search(query, fetched)
        if rows is None:
            self._copy = None
            return None
        allowed = rows if mask is None else rows[mask[rows]]
        return allowed if len(allowed) >= top_k else None

    def _fetched(self, top_k: int, mask: NDArray[np.bool_] | None) -> int | None:
        """How many neighbours to ask for, so that enough are allowed; None if there are more than a GPU finds."""
        allowed = len(self) if mask is None else int(np.count_nonzero(mask))
        if allowed < top_k:
            return None
        fetched = top_k if mask is None else min(len(self), -(-_OVERFETCH * top_k * len(self) // allowed))
        return fetched if fetched <= FETCHED_MAX else None


@dataclass(slots=True, eq=False)
class _Asked:
    """A query that waits; `rows` is there once `answered`, and None then if the GPU failed."""

    query: NDArray[np.float32]
    fetched: int
    answered: bool = False
    rows: NDArray[np.int64] | None = None


class _GpuVectors:
    """The vectors of one segment on the GPU, in parts that were each added at once."""

    def __init__(self, gpu: Gpu, index: SegmentIndex, dim: int) -> None:
        self._gpu = gpu
        self._waiting: list[_Asked] = []
        self._queueing = threading.Lock()
        self._parts: list[Any] = []
        config = gpu.library.GpuIndexFlatConfig()
        config.useFloat16 = True
        with gpu.busy:
            for start in range(0, len(index), _PART_ROWS):
                part = gpu.library.GpuIndexFlatIP(gpu.resources, dim, config)
                part.add(index.vectors(np.arange(start, min(start + _PART_ROWS, len(index)))))
                self._parts.append(part)

    def search(self, query: NDArray[np.float32], fetched: int) -> NDArray[np.int64] | None:
        """Rows of the nearest vectors, best first; whoever finds the GPU free searches for all that wait."""
        asked = _Asked(query, fetched)
        with self._queueing:
            self._waiting.append(asked)
        with self._gpu.busy:
            if not asked.answered:
                with self._queueing:
                    batch, self._waiting = self._waiting, []
                self._answer(batch)
        return asked.rows

    def _answer(self, batch: list[_Asked]) -> None:
        try:
            found = self._found(np.stack([one.query for one in batch]), max(one.fetched for one in batch))
        except RuntimeError as failure:
            _LOG.warning("a segment is searched on the CPU from now on: its search on the GPU failed: %s", failure)
            found = [None] * len(batch)
        for one, rows in zip(batch, found, strict=True):
            one.rows = None if rows is None else rows[: one.fetched]
            one.answered = True

    def _found(self, queries: NDArray[np.float32], fetched: int) -> list[NDArray[np.int64] | None]:
        scores, rows = [], []
        for number, part in enumerate(self._parts):
            part_scores, part_rows = part.search(queries, min(fetched, part.ntotal))
            scores.append(part_scores)
            rows.append(part_rows + number * _PART_ROWS)
        order = np.argsort(-np.concatenate(scores, axis=1), axis=1, kind="stable")[:, :fetched]
        return list(np.take_along_axis(np.concatenate(rows, axis=1), order, axis=1))
