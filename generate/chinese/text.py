"""Chinese text as the reading of answers sees it: folded without moving a character, and cut into tagged words."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol, cast

from ingest.caches import remembers_texts
from retrieve.analysis import han_converter, han_segmenter

_CACHED_SENTENCES = 4096
_HAN_FIRST, _HAN_LAST = "\u4e00", "\u9fff"
_STRANGE_MAX = 4
"""Characters that jieba's model of unknown words has never seen cost it milliseconds each; a text with more of them is
cut by the dictionary alone."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a folded text, `[start, end)` in code points, with jieba's tag of its part of speech."""

    start: int
    end: int
    tag: str


class _Pair(Protocol):
    word: str
    flag: str


class _Tagger(Protocol):
    def lcut(self, text: str, HMM: bool) -> list[_Pair]: ...  # noqa: N803  (jieba's name)


class _Chinese:
    """The tagger, made once a process at the first Chinese question (about a second)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[_Tagger, Container[str]] | None = None

    def load(self) -> tuple[_Tagger, Container[str]]:
        """The tagger, and the characters that it knows in unknown words."""
        with self._lock:
            if self._loaded is None:
                from jieba import posseg
                from jieba.posseg import char_state_tab_P

                self._loaded = (cast(_Tagger, posseg.POSTokenizer(han_segmenter())), char_state_tab_P)
            return self._loaded


_CHINESE = _Chinese()


@remembers_texts(_CACHED_SENTENCES)
def folded(text: str) -> str:
    """Simplified characters, half width, lower case; character for character, so that offsets stay what they are."""
    converter = han_converter()
    simplified = converter.convert(text)
    if len(simplified) != len(text):
        simplified = "".join(_one(converter.convert(character), character) for character in text)
    return "".join(_one(unicodedata.normalize("NFKC", c).lower(), c) for c in simplified)


@remembers_texts(_CACHED_SENTENCES)
def words(text: str) -> tuple[Word, ...]:
    """Words of a folded text in order, with white space and punctuation as words of their own (tag `x`)."""
    tagger, known = _CHINESE.load()
    strange = sum(_HAN_FIRST <= character <= _HAN_LAST and character not in known for character in text)
    found, start = [], 0
    for pair in tagger.lcut(text, HMM=strange <= _STRANGE_MAX):
        end = start + len(pair.word)
        found.append(Word(start, end, pair.flag))
        start = end
    return tuple(found)


def _one(changed: str, original: str) -> str:
    return changed if len(changed) == 1 else original
