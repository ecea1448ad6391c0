"""One immutable piece of a vector index, and what a tier of index (flat, inverted lists, a copy on a GPU) must offer
inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import uuid4
from weakref import WeakKeyDictionary, finalize

import numpy as np
from numpy.typing import NDArray

from retrieve.restriction import Restriction
from retrieve.storage import DamagedIndex, FileStore, State

_ROWS_AT_ONCE = 4_000


class VectorSource(Protocol):
    """Vectors by row number, too many to be copied at once."""

    def __len__(self) -> int: ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 of shape (len(rows), dim)."""
        ...


class SegmentIndex(Protocol):
    """Searches the vectors of one segment, addressed by row number from 0. Never changes once built."""

    @property
    def kind(self) -> str:
        """Names how it is stored, and the loader that reads it."""
        ...

    def __len__(self) -> int:
        """Vectors in the index."""
        ...

    def nearest(
        self, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and inner products of the nearest vectors whose mask is True (None: all), best first.

        At most `top_k` of them, and further ones only if their scores equal the last: whoever merges segments
        decides ties by chunk key.
        """
        ...

    def rows(self) -> NDArray[np.int64]:
        """Every row that a search can find, in any order; one that it can find twice comes twice."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 of shape (len(rows), dim)."""
        ...

    def save(self, path: Path) -> None:
        """Write the index to a new file, from which the loader of its `kind` makes an equal one."""
        ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Segment:
    """Chunk and version key of each row (int64, shape (n,)) and the index over their vectors.

    `name` is the segment's own for ever: its files are called after it. `file` is what the index is mapped from, if
    that is not one of the stored files; it is removed with the segment.
    """

    chunks: NDArray[np.int64]
    versions: NDArray[np.int64]
    index: SegmentIndex
    name: str = field(default_factory=lambda: uuid4().hex)
    file: Path | None = None
    _masks: WeakKeyDictionary[Restriction, NDArray[np.bool_]] = field(default_factory=WeakKeyDictionary, init=False)
    _version_keys: NDArray[np.int64] = field(init=False)
    _version_of_row: NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        # A restriction is looked up once a version, then spread over the rows.
        keys, of_row = np.unique(self.versions, return_inverse=True)
        object.__setattr__(self, "_version_keys", keys)
        object.__setattr__(self, "_version_of_row", of_row)
        if self.file is not None:
            finalize(self, self.file.unlink, missing_ok=True)

    def __len__(self) -> int:
        return len(self.chunks)

    def mask(self, restriction: Restriction) -> NDArray[np.bool_]:
        """Rows that the restriction lets see, bool of shape (n,), read-only; kept as long as the restriction is."""
        known = self._masks.get(restriction)
        if known is not None:
            return known
        spread: NDArray[np.bool_] = restriction.mask(self._version_keys)[self._version_of_row]
        spread.setflags(write=False)
        self._masks[restriction] = spread
        return spread


@dataclass(frozen=True, slots=True, eq=False)
class LiveSegment:
    """A segment and which of its rows live, bool of shape (n,), read-only. Removing makes a new one."""

    segment: Segment
    live: NDArray[np.bool_]
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.live.setflags(write=False)
        object.__setattr__(self, "count", int(np.count_nonzero(self.live)))

    @classmethod
    def whole(cls, segment: Segment) -> LiveSegment:
        """A segment all of whose rows live."""
        return cls(segment, np.ones(len(segment), np.bool_))

    def without(self, dead: NDArray[np.bool_]) -> LiveSegment:
        """The same segment with the rows marked in `dead` removed."""
        return LiveSegment(self.segment, self.live & ~dead) if dead.any() else self

    def save(self, files: FileStore) -> State:
        """Store what is not stored yet; rows only ever die, so that their number names a state of `live`."""
        segment, name = self.segment, self.segment.name
        keys = np.stack([segment.chunks, segment.versions])
        return {
            "kind": segment.index.kind,
            "name": name,
            "index": self._save_index(files),
            "keys": files.put(f"{name}.keys", lambda path: _save_array(path, keys)),
            "live": files.put(f"{name}.{self.count}.live", lambda path: _save_array(path, np.packbits(self.live))),
        }

    def _save_index(self, files: FileStore) -> str:
        segment = self.segment
        name = f"{segment.name}.{segment.index.kind}"
        return files.put(name, segment.index.save) if segment.file is None else files.hold(name, segment.file)

    @classmethod
    def restored(cls, state: State, files: FileStore, index: SegmentIndex) -> LiveSegment:
        """The segment that `save` stored. Raises `DamagedIndex` when its parts do not fit together."""
        chunks, versions = np.load(files.path(state["keys"]), allow_pickle=False)
        live = np.unpackbits(np.load(files.path(state["live"]), allow_pickle=False))[: len(chunks)].astype(np.bool_)
        if len(live) != len(chunks) or len(index) != len(chunks):
            raise DamagedIndex(f"segment {state['name']} has {len(chunks)} keys for {len(index)} vectors")
        return cls(Segment(chunks, versions, index, state["name"]), live)

    def search(
        self, query: NDArray[np.float32], *, top_k: int, restriction: Restriction
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best live, allowed chunks of this segment and their scores, at least `top_k` if there are, in any order;
        among more are all that equal the last of them.
        """
        mask = self.live if restriction.is_everything else self.live & self.segment.mask(restriction)
        allowed = int(np.count_nonzero(mask))
        if allowed == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        all_rows = allowed == len(self.segment)
        rows, scores = self.segment.index.nearest(query, top_k=min(top_k, allowed), mask=None if all_rows else mask)
        return self.segment.chunks[rows], scores

    def contents(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """Chunk keys, version keys and vectors of the rows that a search can find, some thousand at a time."""
        rows = self.segment.index.rows()
        rows = rows[self.live[rows]]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            yield self.segment.chunks[some], self.segment.versions[some], self.segment.index.vectors(some)


def _save_array(path: Path, array: NDArray[np.generic]) -> None:
    with path.open("wb") as file:  # np.save would add an ending to a bare path
        np.save(file, array, allow_pickle=False)
