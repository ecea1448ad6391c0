"""The exact index inside a segment: FAISS (Douze et al., The Faiss library, 2024), IndexFlatIP."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieve.vector.segment import VectorSource

_TIE_GROWTH = 4
_ROWS_AT_ONCE = 4_000


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
    def joined(cls, source: VectorSource) -> FlatSegmentIndex:
        """Of all vectors of a source (one at least), in order, some at a time."""
        count, dim = len(source), source.vectors(np.zeros(1, np.int64)).shape[1]
        index = faiss.IndexFlatIP(dim)
        index.codes.resize(4 * count * dim)
        index.ntotal = count
        stored = faiss.rev_swig_ptr(index.get_xb(), count * dim).reshape(count, dim)
        for start in range(0, count, _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, count))
            stored[rows] = source.vectors(rows)
        return cls(index)

    @classmethod
    def written(cls, source: VectorSource, path: Path) -> FlatSegmentIndex:
        """As `joined`, into a new file, mapped from there: the vectors are never all in memory. Raises `OSError`."""
        count, dim = len(source), source.vectors(np.zeros(1, np.int64)).shape[1]
        # what FAISS writes of an empty one: a mark and dim of 4 bytes each, the rows, more, the floats that follow (0)
        empty = faiss.serialize_index(faiss.IndexFlatIP(dim)).tobytes()
        with path.open("wb") as file:
            file.write(empty[:8] + struct.pack("<q", count) + empty[16:-8] + struct.pack("<q", count * dim))
            for start in range(0, count, _ROWS_AT_ONCE):
                rows = np.arange(start, min(start + _ROWS_AT_ONCE, count))
                source.vectors(rows).astype("<f4", copy=False).tofile(file)
        return cls.load(path)

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
        return exact_nearest(self._index, query, top_k=top_k, mask=mask)

    def rows(self) -> NDArray[np.int64]:
        return np.arange(len(self), dtype=np.int64)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        stored: NDArray[np.float32] = self._index.reconstruct_batch(rows)
        return stored


def exact_nearest(
    index: faiss.Index, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """As `SegmentIndex.nearest`, of a FAISS index that compares the query with every row whose mask is True."""
    # A search of one query is one thread's work in FAISS; a team of threads would only wait. The setting belongs to
    # the calling thread.
    faiss.omp_set_num_threads(1)
    parameters = faiss.SearchParameters()
    if mask is not None:
        bitmap = np.packbits(mask, bitorder="little")
        selector = bitmap_selector(bitmap)
        parameters.sel = selector  # both names must outlive the search: FAISS holds bare pointers
    available = index.ntotal if mask is None else int(np.count_nonzero(mask))
    limit = min(top_k + 1, available)
    while True:
        scores, rows = index.search(query[None, :], limit, params=parameters)
        if limit == available or scores[0, -1] < scores[0, top_k - 1]:
            return rows[0], scores[0]
        limit = min(limit * _TIE_GROWTH, available)


def bitmap_selector(bitmap: NDArray[np.uint8]) -> faiss.IDSelectorBitmap:
    """Selects the rows whose bit is set, lowest bit first. The array must outlive the selector."""
    return faiss.IDSelectorBitmap(len(bitmap), faiss.swig_ptr(bitmap))


def write_faiss(index: faiss.Index, path: Path) -> None:
    """Raises `OSError` where FAISS has only its own errors."""
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as failure:
        raise OSError(f"{path} cannot be written: {failure}") from failure
