"""Exact search with FAISS (Douze et al., The Faiss library, 2024): IndexFlatIP in immutable segments.

A log-structured merge (O'Neil, Cheng, Gawlick and O'Neil, Acta Informatica, 1996): every publish adds one
segment, and merges it with its neighbours until each segment is more than twice as large as the next. So n
chunks lie in at most log2(n) segments and each vector is copied at most about log2(n) times. Removed rows are
masked, and a segment with more than a fifth of its rows dead is written anew. A segment that was stored is
mapped into memory at the next start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput, Unavailable
from retrieve.candidates import Candidates, check_top_k
from retrieve.restriction import Restriction
from retrieve.storage import FileStore, State
from retrieve.vector.base import check_vectors
from retrieve.vector.segment import LiveSegment, Segment, SegmentIndex

MAX_DEAD_SHARE = 0.2
"""A segment with a larger share of removed rows is compacted at the next publish."""

_MERGE_RATIO = 2
_TIE_GROWTH = 4

Builder = Callable[[NDArray[np.float32]], SegmentIndex]
Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class FlatSegmentIndex:
    """All vectors of a segment in an `IndexFlatIP`: exact, 4 * dim bytes a vector."""

    kind: ClassVar[str] = "flat"

    def __init__(self, index: faiss.Index) -> None:
        self._index = index

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> FlatSegmentIndex:
        """Of vectors float32 of shape (n, dim)."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> FlatSegmentIndex:
        """A saved one, mapped into memory."""
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))

    def save(self, path: Path) -> None:
        write_faiss(self._index, path)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def nearest(
        self, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        # A search of one query is one thread's work in FAISS; a team of threads would only wait. The
        # setting belongs to the calling thread.
        faiss.omp_set_num_threads(1)
        parameters = faiss.SearchParameters()
        if mask is not None:
            bitmap = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))
            parameters.sel = selector  # both names must outlive the search: FAISS holds bare pointers
        available = self._index.ntotal if mask is None else int(np.count_nonzero(mask))
        limit = min(top_k + 1, available)
        while True:
            scores, rows = self._index.search(query[None, :], limit, params=parameters)
            if limit == available or scores[0, -1] < scores[0, top_k - 1]:
                return rows[0], scores[0]
            limit = min(limit * _TIE_GROWTH, available)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        stored: NDArray[np.float32] = self._index.reconstruct_batch(rows)
        return stored


LOADERS: Mapping[str, Callable[[Path], SegmentIndex]] = {FlatSegmentIndex.kind: FlatSegmentIndex.load}
"""How the index inside a stored segment is read, by its kind."""


class FaissFlatIndex:
    """The exact vector index. `build` makes the index inside each segment; other tiers pass their own."""

    def __init__(self, dim: int, *, build: Builder = FlatSegmentIndex.build) -> None:
        self.dim = dim
        self._build = build
        self._lock = threading.Lock()
        self._segments: tuple[LiveSegment, ...] = ()
        self._published: tuple[LiveSegment, ...] = ()
        self._pending: list[Batch] = []

    def add(self, chunks: NDArray[np.int64], versions: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        check_vectors(vectors, dim=self.dim)
        if not chunks.shape == versions.shape == (len(vectors),):
            raise InvalidInput(
                f"{len(vectors)} vectors came with chunk keys of shape {chunks.shape} and version keys"
                f" of shape {versions.shape}; give one of each per vector"
            )
        if len(vectors) == 0:
            return
        with self._lock:
            self._pending.append((chunks.astype(np.int64), versions.astype(np.int64), vectors.copy()))

    def remove_versions(self, versions: Iterable[int]) -> None:
        removed = Restriction.of(versions)
        with self._lock:
            self._segments = tuple(part.without(part.segment.mask(removed)) for part in self._segments)
            self._pending = [_select(batch, ~removed.mask(batch[1])) for batch in self._pending]

    def publish(self) -> FaissFlatSnapshot:
        with self._lock:
            if self._pending:
                self._seal(_latest(self._pending))
                self._pending = []
            self._segments = self._published = self._merged(self._compacted(self._segments))
            return FaissFlatSnapshot(self.dim, self._segments)

    def rollback(self) -> None:
        with self._lock:
            self._segments, self._pending = self._published, []

    def restore(self, state: State, files: FileStore) -> None:
        loaded = [self._loaded(one, files) for one in state["segments"]]
        with self._lock:
            self._segments = self._published = tuple(loaded)

    def close(self) -> None:
        with self._lock:
            self._segments, self._published, self._pending = (), (), []

    def _loaded(self, state: State, files: FileStore) -> LiveSegment:
        index = LOADERS[state["kind"]](files.path(state["index"]))
        return LiveSegment.restored(state, files, index)

    def _seal(self, batch: Batch) -> None:
        """Make the batch the newest segment; older rows of the same chunks die."""
        self._segments = tuple(part.without(np.isin(part.segment.chunks, batch[0])) for part in self._segments)
        if len(batch[0]):
            self._segments += (self._segment(batch),)

    def _segment(self, batch: Batch) -> LiveSegment:
        chunks, versions, vectors = batch
        return LiveSegment(Segment(chunks, versions, self._build(vectors)), np.ones(len(chunks), np.bool_))

    def _compacted(self, parts: Sequence[LiveSegment]) -> list[LiveSegment]:
        return [
            self._rewritten([part]) if part.count < (1 - MAX_DEAD_SHARE) * len(part.segment) else part
            for part in parts
            if part.count
        ]

    def _merged(self, parts: Sequence[LiveSegment]) -> tuple[LiveSegment, ...]:
        """Restore the rule of sizes: all segments from the first that breaks it become one."""
        newer = sum(part.count for part in parts)
        for i, part in enumerate(parts):
            newer -= part.count
            if part.count <= _MERGE_RATIO * newer:
                return (*parts[:i], self._rewritten(parts[i:]))
        return tuple(parts)

    def _rewritten(self, parts: Sequence[LiveSegment]) -> LiveSegment:
        """One segment with the live rows of all parts, oldest first."""
        return self._segment(_concatenated([_live_rows(part) for part in parts]))


class FaissFlatSnapshot:
    """Segments and live masks as they were at one publish."""

    def __init__(self, dim: int, segments: tuple[LiveSegment, ...]) -> None:
        self._dim = dim
        self._segments: tuple[LiveSegment, ...] | None = segments
        self.count = sum(part.count for part in segments)

    @property
    def segments(self) -> tuple[LiveSegment, ...]:
        """Oldest and largest first. Raises `Unavailable` if the snapshot is closed."""
        if self._segments is None:
            raise Unavailable("this vector snapshot is closed; take the present one")
        return self._segments

    def search(
        self,
        query: NDArray[np.float32],
        *,
        top_k: int,
        restriction: Restriction = Restriction.EVERYTHING,
    ) -> Candidates:
        check_top_k(top_k)
        check_vectors(query[None, ...], dim=self._dim)
        found = [part.search(query, top_k=top_k, restriction=restriction) for part in self.segments]
        if not found:
            return Candidates.none()
        chunks = np.concatenate([part.chunks for part in found])
        scores = np.concatenate([part.scores for part in found])
        return Candidates.best(chunks, scores, top_k=top_k)

    def save(self, files: FileStore) -> State:
        segments = [part.save(files) for part in self.segments]
        names = [segment[part] for segment in segments for part in ("index", "keys", "live")]
        return {"segments": segments, "files": names}

    def close(self) -> None:
        self._segments = None


def write_faiss(index: faiss.Index, path: Path) -> None:
    """Raises `OSError` where FAISS has only its own errors."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as failure:
        raise OSError(f"{path} cannot be written: {failure}") from failure


def _select(batch: Batch, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Batch:
    chunks, versions, vectors = batch
    return chunks[rows], versions[rows], vectors[rows]


def _concatenated(batches: Sequence[Batch]) -> Batch:
    chunks, versions, vectors = zip(*batches, strict=True)
    return np.concatenate(chunks), np.concatenate(versions), np.concatenate(vectors)


def _latest(batches: Sequence[Batch]) -> Batch:
    """All rows in order of their coming; of a chunk key given twice, the last."""
    batch = _concatenated(batches)
    newest_first = batch[0][::-1]
    _, position = np.unique(newest_first, return_index=True)
    return _select(batch, np.sort(len(newest_first) - 1 - position))


def _live_rows(part: LiveSegment) -> Batch:
    rows = np.flatnonzero(part.live)
    return part.segment.chunks[rows], part.segment.versions[rows], part.segment.index.vectors(rows)
