"""The approximate index inside a large segment: inverted lists of 4-bit codes, then exact scores of the best of them.

The inverted file (Sivic and Zisserman, ICCV 2003) with product-quantised codes (Jegou, Douze and Schmid, PAMI 2011) of
4 bits for every two dimensions, scanned in registers (Andre, Kermarrec and Le Scouarnec, VLDB 2015): cheap enough to
scan a quarter of all lists. The best candidates are scored again with the vectors themselves in half precision. So
recall depends little on how well the clusters fit, which matters because questions are not drawn like passages.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieve.vector.flat import bitmap_selector, exact_nearest, write_faiss
from retrieve.vector.segment import VectorSource

_DIMENSIONS_PER_CODE = 2
_CODE_BITS = 4
_TRAINED_PER_LIST = 40
_TRAINING_ROUNDS = 8
_PROBED_SHARE = 4
_RESCORED_MIN = 200
_RESCORED_FACTOR = 3
_EXACT_SHARE = 20
_SLICE = 20_000
_SEED = 20_251_125


class IvfSegmentIndex:
    """Approximate: 2 * dim + dim / 4 + 8 bytes a vector, of which a stored one keeps the first in the file."""

    kind: ClassVar[str] = "ivf"

    def __init__(self, index: Any, parts: Sequence[Any] = ()) -> None:
        self._index = index
        self._parts = parts  # what is not read from a file belongs to Python, and must live as long
        self._lists: Any = faiss.downcast_index(index.base_index)
        self._vectors: Any = faiss.downcast_index(index.refine_index)

    @classmethod
    def build(cls, source: VectorSource) -> IvfSegmentIndex:
        """Takes minutes for a million vectors, on half of the cores."""
        faiss.omp_set_num_threads(max(1, (os.cpu_count() or 2) // 2))
        count = len(source)
        lists = list_count(count)
        sample = np.random.default_rng(_SEED).permutation(count)[: _TRAINED_PER_LIST * lists]
        training = source.vectors(np.sort(sample))
        index, parts = _empty(training.shape[1], lists)
        index.train(training)
        for start in range(0, count, _SLICE):
            index.add(source.vectors(np.arange(start, min(start + _SLICE, count))))
        return cls(index, parts)

    @classmethod
    def load(cls, path: Path) -> IvfSegmentIndex:
        """A saved one; its vectors are mapped into memory, its lists are read."""
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC))

    def save(self, path: Path) -> None:
        write_faiss(self._index, path)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def nearest(
        self, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Where a twentieth of the rows or less is allowed, or that many are asked for, every row is compared."""
        allowed = len(self) if mask is None else int(np.count_nonzero(mask))
        if max(allowed, 1) * _EXACT_SHARE <= len(self) or top_k * _EXACT_SHARE > allowed:
            return exact_nearest(self._vectors, query, top_k=top_k, mask=mask)
        faiss.omp_set_num_threads(1)
        lists = self._lists.nlist
        probed = min(lists, -(-lists * len(self) // (_PROBED_SHARE * allowed)))
        rescored = max(_RESCORED_FACTOR * top_k, _RESCORED_MIN)
        bitmap = np.packbits(np.ones(len(self), np.bool_) if mask is None else mask, bitorder="little")
        selector = None if mask is None else bitmap_selector(bitmap)
        among = faiss.SearchParametersIVF(nprobe=probed, sel=selector)  # type: ignore[call-arg]
        parameters = faiss.IndexRefineSearchParameters(  # type: ignore[call-arg]
            k_factor=rescored / top_k, base_index_params=among
        )
        scores, rows = self._index.search(query[None, :], top_k, params=parameters)
        found = rows[0] >= 0
        if np.count_nonzero(found) < top_k:  # the probed lists hold too few: rare, and then exact
            return exact_nearest(self._vectors, query, top_k=top_k, mask=mask)
        return rows[0], scores[0]

    def rows(self) -> NDArray[np.int64]:
        """What stands in the inverted lists."""
        lists = self._lists.invlists
        sizes = [lists.list_size(number) for number in range(self._lists.nlist)]
        found = [faiss.rev_swig_ptr(lists.get_ids(number), size) for number, size in enumerate(sizes) if size]
        return np.concatenate([np.array(ids, np.int64) for ids in found])

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        stored: NDArray[np.float32] = self._vectors.reconstruct_batch(rows)
        return stored


def list_count(vectors: int) -> int:
    """The power of two nearest to twice the square root of the number of vectors; at least 1."""
    return 1 << max(0, round(math.log2(max(1.0, 2 * vectors**0.5))))


def _empty(dim: int, lists: int) -> tuple[faiss.IndexRefine, tuple[Any, ...]]:
    """An untrained index, and the parts of it that have to be kept."""
    coarse = faiss.IndexFlatIP(dim)
    codes = -(-dim // _DIMENSIONS_PER_CODE)
    inverted = faiss.IndexIVFPQFastScan(coarse, dim, lists, codes, _CODE_BITS, faiss.METRIC_INNER_PRODUCT)
    for clustering in (inverted.cp, inverted.pq.cp):
        clustering.min_points_per_centroid = 1  # FAISS would warn on stderr
        clustering.seed = _SEED
    inverted.cp.niter = _TRAINING_ROUNDS
    inverted.cp.max_points_per_centroid = _TRAINED_PER_LIST
    inverted.cp.spherical = True
    stored = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    return faiss.IndexRefine(inverted, stored), (coarse, inverted, stored)
