"""Names of vector engines, as settings and index generations spell them, and the class behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ingest.errors import InvalidInput
from retrieve.vector.base import VectorIndex
from retrieve.vector.faiss_index import FaissIndex
from retrieve.vector.gpu import Gpu
from retrieve.vector.tiers import EXACT, Tiers

DEFAULT_ENGINE = "faiss"
APPROXIMATE_FROM = 50_000
"""Rows from which a segment of the engine `faiss` is approximate; see docs/decisions/0009-vector-tiers.md."""

_ENGINES: Mapping[str, Callable[[int, Gpu | None, Path | None], VectorIndex]] = {
    "faiss": lambda dim, gpu, folder: FaissIndex(dim, tiers=Tiers(APPROXIMATE_FROM, gpu), folder=folder),
    "faiss_flat": lambda dim, _gpu, folder: FaissIndex(dim, tiers=EXACT, folder=folder),
}

ENGINES: tuple[str, ...] = tuple(sorted(_ENGINES))


def open_vector_index(
    engine: str = DEFAULT_ENGINE, *, dim: int, gpu: Gpu | None = None, directory: Path | None = None
) -> VectorIndex:
    """The engine of that name, empty, for vectors of `dim` dimensions; `gpu` speeds up what is large, if it can.

    In `directory` it keeps files at work, which no other may use; without one all is in memory.
    Raises `InvalidInput` for a name not in `ENGINES`.
    """
    if engine not in _ENGINES:
        raise InvalidInput(f"unknown vector engine {engine!r}; choose one of {', '.join(ENGINES)}")
    return _ENGINES[engine](dim, gpu, directory)
