"""Lexical retrieval: the index protocol, its engines, and the names they are chosen by."""

from retrieve.lexical.base import LexicalDocument, LexicalIndex, LexicalSnapshot
from retrieve.lexical.registry import DEFAULT_ENGINE, ENGINES, open_lexical_index

__all__ = [
    "DEFAULT_ENGINE",
    "ENGINES",
    "LexicalDocument",
    "LexicalIndex",
    "LexicalSnapshot",
    "open_lexical_index",
]
