"""Names of vector engines, as settings and index generations spell them, and the class behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ingest.errors import InvalidInput
from retrieve.vector.base import VectorIndex
from retrieve.vector.faiss_flat import FaissFlatIndex

DEFAULT_ENGINE = "faiss_flat"

_ENGINES: Mapping[str, Callable[[int], VectorIndex]] = {"faiss_flat": FaissFlatIndex}

ENGINES: tuple[str, ...] = tuple(sorted(_ENGINES))


def open_vector_index(engine: str = DEFAULT_ENGINE, *, dim: int) -> VectorIndex:
    """The engine of that name, empty, for vectors of `dim` dimensions.

    Raises `InvalidInput` for a name not in `ENGINES`.
    """
    if engine not in _ENGINES:
        raise InvalidInput(f"unknown vector engine {engine!r}; choose one of {', '.join(ENGINES)}")
    return _ENGINES[engine](dim)
