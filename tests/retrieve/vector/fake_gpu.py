"""What `faiss-gpu` has and `faiss-cpu` lacks, on the CPU: half precision, no filters, one caller at a time.

Stands in for the GPU surface of FAISS only; `tests/retrieve/vector/test_gpu.py` holds the real one to the same tests
where there is one.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace

import faiss
import numpy as np
from numpy.typing import NDArray


class FakeGpuLibrary:
    """A GPU that holds `rows_max` vectors in all, and fails when `broken`. `batches` are the sizes of its searches."""

    def __init__(self, *, gpus: int = 1, rows_max: int = 10**9) -> None:
        self.gpus, self.rows_left = gpus, rows_max
        self.broken = False
        self.batches: list[int] = []
        self.in_use = threading.Lock()

    def get_num_gpus(self) -> int:
        return self.gpus

    def StandardGpuResources(self) -> SimpleNamespace:  # noqa: N802 - FAISS's name
        return SimpleNamespace(setTempMemory=lambda _size: None)

    def GpuIndexFlatConfig(self) -> SimpleNamespace:  # noqa: N802 - FAISS's name
        return SimpleNamespace(useFloat16=False)

    def GpuIndexFlatIP(self, _resources: object, dim: int, config: SimpleNamespace) -> FakeGpuIndex:  # noqa: N802
        assert config.useFloat16
        return FakeGpuIndex(self, dim)


class FakeGpuIndex:
    """Exact, in half precision."""

    def __init__(self, library: FakeGpuLibrary, dim: int) -> None:
        self._library = library
        self._index = faiss.IndexFlatIP(dim)

    @property
    def ntotal(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        if len(vectors) > self._library.rows_left:
            raise RuntimeError("cudaMalloc error out of memory [2]")
        self._library.rows_left -= len(vectors)
        self._index.add(vectors.astype(np.float16).astype(np.float32))

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        assert k <= 2048
        assert self._library.in_use.acquire(blocking=False), "FAISS on a GPU is not thread-safe"
        try:
            if self._library.broken:
                raise RuntimeError("CUDA error 700 an illegal memory access was encountered")
            self._library.batches.append(len(queries))
            scores, rows = self._index.search(queries.astype(np.float16).astype(np.float32), k)
            return scores, rows
        finally:
            self._library.in_use.release()
