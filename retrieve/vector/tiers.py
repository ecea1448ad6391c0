"""Which index a segment of which size gets, and how the index of a stored segment is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.gpu import Gpu
from retrieve.vector.ivf import IvfSegmentIndex, VectorSource
from retrieve.vector.segment import SegmentIndex

_LOADERS: Mapping[str, Callable[[Path], SegmentIndex]] = {
    FlatSegmentIndex.kind: FlatSegmentIndex.load,
    IvfSegmentIndex.kind: IvfSegmentIndex.load,
}


@dataclass(frozen=True, slots=True)
class Tiers:
    """Segments of `approximate_from` rows and more are approximate (None: all are exact), with a copy on `gpu`."""

    approximate_from: int | None
    gpu: Gpu | None = None

    def is_large(self, rows: int) -> bool:
        """A segment of so many rows takes long to build."""
        return self.approximate_from is not None and rows >= self.approximate_from

    def is_outgrown(self, index: SegmentIndex) -> bool:
        """A large segment with this index should get another."""
        return index.kind != IvfSegmentIndex.kind

    def build(self, source: VectorSource) -> SegmentIndex:
        """The index of a large segment."""
        return self._served(IvfSegmentIndex.build(source))

    def load(self, kind: str, path: Path) -> SegmentIndex:
        """The index of a stored segment, whatever its size."""
        index = _LOADERS[kind](path)
        return self._served(index) if self.is_large(len(index)) else index

    def _served(self, index: SegmentIndex) -> SegmentIndex:
        return index if self.gpu is None else self.gpu.holding(index)


EXACT = Tiers(None)
