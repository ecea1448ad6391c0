"""Which index a segment of which size gets, and how the index of a stored segment is read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.gpu import Gpu
from retrieve.vector.ivf import IvfSegmentIndex
from retrieve.vector.segment import SegmentIndex, VectorSource

_LOG = logging.getLogger(__name__)
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

    def build(self, source: VectorSource, file: Path | None) -> tuple[SegmentIndex, Path | None]:
        """The index of a segment, and the file that it is mapped from: `file`, None where that cannot be written."""
        if file is not None:
            try:
                return self._served(self._written(source, file)), file
            except OSError as failure:
                file.unlink(missing_ok=True)
                _LOG.warning("%d vectors of an index stay in memory: %s", len(source), failure)
        large = self.is_large(len(source))
        return self._served(IvfSegmentIndex.build(source) if large else FlatSegmentIndex.joined(source)), None

    def _written(self, source: VectorSource, file: Path) -> SegmentIndex:
        if not self.is_large(len(source)):
            return FlatSegmentIndex.written(source, file)
        IvfSegmentIndex.build(source).save(file)
        return IvfSegmentIndex.load(file)

    def load(self, kind: str, path: Path) -> SegmentIndex:
        """The index of a stored segment, whatever its size."""
        return self._served(_LOADERS[kind](path))

    def _served(self, index: SegmentIndex) -> SegmentIndex:
        return index if self.gpu is None or not self.is_large(len(index)) else self.gpu.holding(index)


EXACT = Tiers(None)
