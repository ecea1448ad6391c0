"""Names of lexical engines, as settings and index generations spell them, and the class behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ingest.errors import InvalidInput
from retrieve.lexical.base import LexicalIndex
from retrieve.lexical.rank_bm25_index import RankBm25Index
from retrieve.lexical.tantivy_index import TantivyIndex

DEFAULT_ENGINE = "tantivy"

_ENGINES: Mapping[str, Callable[[Path | None], LexicalIndex]] = {
    "rank_bm25": lambda directory: RankBm25Index(),
    "tantivy": TantivyIndex,
}

ENGINES: tuple[str, ...] = tuple(sorted(_ENGINES))


def open_lexical_index(engine: str = DEFAULT_ENGINE, *, directory: Path | None = None) -> LexicalIndex:
    """The engine of that name, empty, or as last published in `directory` where the engine keeps one
    (tantivy).

    Raises `InvalidInput` for a name not in `ENGINES`.
    """
    if engine not in _ENGINES:
        raise InvalidInput(f"unknown lexical engine {engine!r}; choose one of {', '.join(ENGINES)}")
    return _ENGINES[engine](directory)
