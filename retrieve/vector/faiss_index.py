"""Vectors in immutable segments: exact while they are small, approximate where they are large.

A log-structured merge (O'Neil, Cheng, Gawlick and O'Neil, Acta Informatica, 1996): every publish adds one segment, and
merges it with its neighbours until each segment is more than twice as large as the next. So n chunks lie in at most
about log2(n) segments and each vector is copied at most about log2(n) times. Removed rows are masked, and a segment
with more than a fifth of its rows dead is written anew. With a folder, a merged segment of many bytes is written there
at once and mapped into memory, so that the kernel can take back what is not searched; so is a stored one at a start.

What takes long is not done by `publish`: where a segment is to become large, its parts serve until `maintain`, called
from another thread, has built it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput, Unavailable
from retrieve.candidates import Candidates, check_top_k
from retrieve.restriction import Restriction
from retrieve.storage import FileStore, State
from retrieve.vector.base import check_vectors
from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.segment import LiveSegment, Segment
from retrieve.vector.tiers import EXACT, Tiers

MAX_DEAD_SHARE = 0.2
"""A segment with a larger share of removed rows is compacted."""

MAPPED_FROM_BYTES = 4 << 20
"""Segments with fewer bytes of vectors stay in memory: there are few such, and they are soon merged."""

_MERGE_RATIO = 2
_PENDING_MAX = 16_384

Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


class FaissIndex:
    """The vector index of one generation; `tiers` says which index a segment of which size gets.

    Merged segments of many bytes are mapped from files in `folder` (None: everything is in memory).
    """

    def __init__(self, dim: int, *, tiers: Tiers = EXACT, folder: Path | None = None) -> None:
        self.dim = dim
        self._tiers = tiers
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._maintaining = threading.Lock()
        self._segments: tuple[LiveSegment, ...] = ()
        self._published: tuple[LiveSegment, ...] = ()
        self._pending: list[Batch] = []
        self._in_work: frozenset[str] = frozenset()

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
            if sum(len(batch[0]) for batch in self._pending) >= _PENDING_MAX:
                self._seal()

    def remove_versions(self, versions: Iterable[int]) -> None:
        removed = Restriction.of(versions)
        with self._lock:
            self._segments = tuple(part.without(part.segment.mask(removed)) for part in self._segments)
            self._pending = [_select(batch, ~removed.mask(batch[1])) for batch in self._pending]

    def publish(self) -> FaissSnapshot:
        with self._lock:
            self._seal()
            in_work, others = self._apart(self._segments)
            self._segments = self._published = (*in_work, *self._merged(self._compacted(others)))
            return FaissSnapshot(self.dim, self._segments)

    def maintain(self) -> bool:
        with self._maintaining:
            with self._lock:
                parts = self._overdue(self._published)
                self._in_work = frozenset(part.segment.name for part in parts)
            try:
                if not parts:
                    return False
                rows = _LiveRows(parts)
                built = self._segment(rows)
                with self._lock:
                    return self._replace(parts, rows, built)
            finally:
                with self._lock:
                    self._in_work = frozenset()

    def rollback(self) -> None:
        with self._lock:
            self._segments, self._pending = self._published, []

    def restore(self, state: State, files: FileStore) -> None:
        loaded = tuple(self._loaded(one, files) for one in state["segments"])
        with self._lock:
            self._segments = self._published = loaded

    def close(self) -> None:
        with self._lock:
            self._segments, self._published, self._pending = (), (), []

    def _loaded(self, state: State, files: FileStore) -> LiveSegment:
        index = self._tiers.load(state["kind"], files.path(state["index"]))
        return LiveSegment.restored(state, files, index)

    def _apart(self, parts: Sequence[LiveSegment]) -> tuple[Sequence[LiveSegment], Sequence[LiveSegment]]:
        """The segments up to the last that `maintain` is at work on, which stay as they are, and the newer ones."""
        count = max((i for i, part in enumerate(parts, 1) if part.segment.name in self._in_work), default=0)
        return parts[:count], parts[count:]

    def _seal(self) -> None:
        """Make what was added the newest segment; older rows of the same chunks die."""
        if not self._pending:
            return
        chunks, versions, vectors = _latest(self._pending)
        self._pending = []
        self._segments = tuple(part.without(np.isin(part.segment.chunks, chunks)) for part in self._segments)
        if len(chunks):
            sealed = LiveSegment.whole(Segment(chunks, versions, FlatSegmentIndex.build(vectors)))
            mapped = self._is_mapped(len(chunks)) and not self._tiers.is_large(len(chunks))
            self._segments += (self._rewritten([sealed]) if mapped else sealed,)

    def _is_mapped(self, rows: int) -> bool:
        return self._folder is not None and 4 * rows * self.dim >= MAPPED_FROM_BYTES

    def _segment(self, rows: _LiveRows) -> Segment:
        """One segment with these rows, mapped where they are many."""
        name = uuid4().hex
        file = self._folder / name if self._folder is not None and self._is_mapped(len(rows)) else None
        index, mapped = self._tiers.build(rows, file)
        return Segment(rows.chunks, rows.versions, index, name, mapped)

    def _rewritten(self, parts: Sequence[LiveSegment]) -> LiveSegment:
        """One segment with the live rows of all parts, oldest first."""
        return LiveSegment.whole(self._segment(_LiveRows(parts)))

    def _compacted(self, parts: Sequence[LiveSegment]) -> list[LiveSegment]:
        return [
            self._rewritten([part]) if _is_sparse(part) and not self._tiers.is_large(part.count) else part
            for part in parts
            if part.count
        ]

    def _merged(self, parts: Sequence[LiveSegment]) -> tuple[LiveSegment, ...]:
        """Restore the rule of sizes, as far as that makes no large segment: those are for `maintain`."""
        for i in _breaches(parts):
            if not self._tiers.is_large(sum(part.count for part in parts[i:])):
                return (*parts[:i], self._rewritten(parts[i:]))
        return tuple(parts)

    def _overdue(self, parts: Sequence[LiveSegment]) -> Sequence[LiveSegment]:
        """Neighbours that are to become one large segment: by the rule of sizes, for their dead rows, or their tier."""
        for i in _breaches(parts):
            if self._tiers.is_large(sum(part.count for part in parts[i:])):
                return parts[i:]
        for part in parts:
            if self._tiers.is_large(part.count) and (_is_sparse(part) or self._tiers.is_outgrown(part.segment.index)):
                return [part]
        return ()

    def _replace(self, parts: Sequence[LiveSegment], rows: _LiveRows, built: Segment) -> bool:
        """Put the new segment where its parts are; what died in them meanwhile is dead in it, too."""
        segments = [_replaced(present, parts, rows, built) for present in (self._segments, self._published)]
        if None in segments:  # closed, or rolled back to before the parts
            return False
        self._segments, self._published = segments  # type: ignore[assignment]
        return True


class FaissSnapshot:
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
        chunks, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Candidates.best(chunks, scores, top_k=top_k)

    def contents(self) -> Iterator[Batch]:
        for part in self.segments:
            yield from part.contents()

    def save(self, files: FileStore) -> State:
        segments = [part.save(files) for part in self.segments]
        names = [segment[part] for segment in segments for part in ("index", "keys", "live")]
        return {"segments": segments, "files": names}

    def close(self) -> None:
        self._segments = None


class _LiveRows:
    """The live rows of some segments, as one array that is never made: a large segment is built slice by slice."""

    def __init__(self, parts: Sequence[LiveSegment]) -> None:
        self.taken = [np.flatnonzero(part.live) for part in parts]
        self.chunks = np.concatenate([part.segment.chunks[rows] for part, rows in zip(parts, self.taken, strict=True)])
        self.versions = np.concatenate(
            [part.segment.versions[rows] for part, rows in zip(parts, self.taken, strict=True)]
        )
        self._parts = parts
        self._ends = np.cumsum([len(rows) for rows in self.taken])

    def __len__(self) -> int:
        return len(self.chunks)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 of shape (len(rows), dim), for rows in any order."""
        part_of = np.searchsorted(self._ends, rows, side="right")
        found: NDArray[np.float32] | None = None
        for number, (part, taken) in enumerate(zip(self._parts, self.taken, strict=True)):
            chosen = np.flatnonzero(part_of == number)
            if len(chosen):
                begin = self._ends[number] - len(taken)
                vectors = part.segment.index.vectors(taken[rows[chosen] - begin])
                found = np.empty((len(rows), vectors.shape[1]), np.float32) if found is None else found
                found[chosen] = vectors
        assert found is not None
        return found


def _replaced(
    present: Sequence[LiveSegment], parts: Sequence[LiveSegment], rows: _LiveRows, built: Segment
) -> tuple[LiveSegment, ...] | None:
    """The present segments with the new one in place of its parts; None unless all of those are there."""
    by_name = {part.segment.name: part for part in present}
    names = [part.segment.name for part in parts]
    if not by_name.keys() >= set(names):
        return None
    live = np.concatenate([by_name[name].live[taken] for name, taken in zip(names, rows.taken, strict=True)])
    result: list[LiveSegment] = []
    for part in present:
        if part.segment.name == names[0]:
            result.append(LiveSegment(built, live))
        elif part.segment.name not in names:
            result.append(part)
    return tuple(result)


def _breaches(parts: Sequence[LiveSegment]) -> Iterator[int]:
    """Where a segment is not more than twice as large as all newer ones together, oldest first."""
    newer = sum(part.count for part in parts)
    for i, part in enumerate(parts):
        newer -= part.count
        if part.count <= _MERGE_RATIO * newer:
            yield i


def _is_sparse(part: LiveSegment) -> bool:
    return part.count < (1 - MAX_DEAD_SHARE) * len(part.segment)


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
