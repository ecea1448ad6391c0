"""Names of lexical engines, as settings and index generations spell them, and the class behind each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ingest.errors import InvalidInput
from retrieve.lexical.base import LexicalIndex
from retrieve.lexical.rank_bm25_index import RankBm25Index
from retrieve.lexical.tantivy_index import TantivyIndex
from retrieve.storage import FileStore, State

DEFAULT_ENGINE = "tantivy"

Saved = tuple[State, FileStore]

_ENGINES: Mapping[str, Callable[[Path | None, Saved | None], LexicalIndex]] = {
    "rank_bm25": lambda directory, saved: RankBm25Index(saved),
    "tantivy": TantivyIndex,
}

ENGINES: tuple[str, ...] = tuple(sorted(_ENGINES))


def open_lexical_index(
    engine: str = DEFAULT_ENGINE, *, directory: Path | None = None, saved: Saved | None = None
) -> LexicalIndex:
    """The engine of that name, at work in `directory` (None: in memory); empty, or as it was `saved`.

    Raises `InvalidInput` for a name not in `ENGINES`; with `saved`, `DamagedIndex` or what the engine raises when it
    cannot be opened.
    """
    if engine not in _ENGINES:
        raise InvalidInput(f"unknown lexical engine {engine!r}; choose one of {', '.join(ENGINES)}")
    return _ENGINES[engine](directory, saved)
