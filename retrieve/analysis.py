"""Text to index terms: the one analyser behind every lexical index, for chunks and for questions alike.

    NFKC, casefold -> runs of one kind -> terms
      Latin and other spaced scripts            words, compounds also in parts; accents folded; English stems
      Han                                       to simplified (OpenCC t2s); jieba words, characters, bigrams
      kana, Hangul, Thai, Lao, Khmer, Burmese   character bigrams

Nothing here knows of chunks, indexes or scores. What the terms are is part of an index generation: whoever
changes the output for any text also changes `ANALYSER`, and every index built under the old name is rebuilt.
There is no stop list; what that costs is measured in docs/decisions/0003-index-engines.md.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol, cast

import opencc
import Stemmer

ANALYSER = "nfkc-snowball-en-jieba-1"
"""Name and version of the analyser; belongs in every index generation."""

MAX_TERM_CHARS = 64
"""Longer terms are cut here: they are hashes and encoded blobs, not words anybody asks for."""

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7ff"  # Hangul: spaced, but particles cling to the nouns
    "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
)
# \w leaves out combining marks, without which Hebrew, Arabic and Indic words would fall apart
_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_WORD = rf"(?:(?![{_HAN}{_UNSPACED}])[^\W_]|[{_MARKS}])+"
_RUN = re.compile(rf"(?P<han>[{_HAN}]+)|(?P<unspaced>[{_UNSPACED}]+)|(?P<word>{_WORD}(?:[-._@'+&]{_WORD})*(?:\+\+|#)?)")
_ASCII_RUN = re.compile(r"(?P<word>[a-z0-9]+(?:[-._@'+&][a-z0-9]+)*(?:\+\+|#)?)")
"""What `_RUN` finds in lower-case ASCII text, in a third of the time."""
_PUNCTUATION = str.maketrans({**dict.fromkeys("‐‑‒–−", "-"), "’": "'", "ʼ": "'"})
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_POSSESSIVE = re.compile(r"'s(?![^\W_])")
_ELISION = re.compile(r"(?<![^\W_])[^\W_]{1,2}'([^\W_]{3,})")
_ACRONYM = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")
_PART = re.compile(r"[^-._@+&#]+")
_LETTERS_AND_DIGITS = re.compile(r"([^\W\d_]+)(\d+)|(\d+)([^\W\d_]+)")
_JOINERS = str.maketrans("", "", "-_")


class _Segmenter(Protocol):
    def lcut(self, text: str) -> list[str]: ...
    def lcut_for_search(self, text: str) -> list[str]: ...


class _Converter(Protocol):
    def convert(self, text: str) -> str: ...


class _Stemmer(Protocol):
    def stemWords(self, words: list[str]) -> list[str]: ...  # noqa: N802  (PyStemmer's name)


class _PerThread(threading.local):
    """A Snowball stemmer is not safe to share, so each thread has its own; what was stemmed is remembered elsewhere."""

    def __init__(self) -> None:
        self.english = cast(_Stemmer, Stemmer.Stemmer("english", 0))


class _Chinese:
    """OpenCC and jieba, loaded once a process at the first Han character (about a second)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[_Converter, _Segmenter] | None = None

    def load(self) -> tuple[_Converter, _Segmenter]:
        with self._lock:
            if self._loaded is None:
                self._loaded = (cast(_Converter, opencc.OpenCC("t2s")), _load_jieba())
            return self._loaded


def _load_jieba() -> _Segmenter:
    """jieba with its packaged dictionary, read directly.

    `Tokenizer.initialize` would print to stderr and trust, or write, `jieba.cache` in the shared temporary
    folder: a marshal file that any local user could have put there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old string escapes, and pkg_resources where it still exists
        import jieba
    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return cast(_Segmenter, segmenter)


_THREAD = _PerThread()
_CHINESE = _Chinese()


def han_converter() -> _Converter:
    """OpenCC from traditional to simplified characters, the one that the terms are made with."""
    return _CHINESE.load()[0]


def han_segmenter() -> _Segmenter:
    """jieba with its packaged dictionary, the one that the terms are made with."""
    return _CHINESE.load()[1]


def analyse_document(text: str) -> list[str]:
    """Terms of a chunk, in text order, repeats included (their count is the term frequency).

    A compound yields itself and its parts: `ISO-9001` gives iso9001, iso, 9001; an e-mail address gives the
    address and its words. Han text yields jieba's words, the dictionary words inside them, every
    character and every bigram.

    Returns terms without white space, none empty, none longer than `MAX_TERM_CHARS`. Deterministic and
    thread-safe.
    """
    return _analyse(text, segment_for_search=True)


def analyse_query(text: str) -> list[str]:
    """Terms of a question; as `analyse_document`, but jieba's words are not split again into shorter ones."""
    return _analyse(text, segment_for_search=False)


def _analyse(text: str, *, segment_for_search: bool) -> list[str]:
    terms: list[str] = []
    normal = _normalise(text)
    for run in (_ASCII_RUN if normal.isascii() else _RUN).finditer(normal):
        if run.lastgroup == "word":
            word = run.group()
            terms.extend(_known_stems(word) if len(word) <= MAX_TERM_CHARS else _stems(word))
        elif run.lastgroup == "han":
            terms.extend(_cut(_han_terms(run.group(), segment_for_search=segment_for_search)))
        else:
            terms.extend(_bigrams(run.group()))
    return terms


def _normalise(text: str) -> str:
    if text.isascii():
        text = text.lower()
    else:
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        text = text.translate(_PUNCTUATION)
    return _THOUSANDS_COMMA.sub("", text)


def _word_terms(word: str) -> Iterator[str]:
    """The word or compound itself, then its parts where they differ from it."""
    if word.isascii() and word.isalpha():
        yield word
        return
    word = _fold_accents(_POSSESSIVE.sub("", word))
    if _ACRONYM.fullmatch(word):
        yield word.replace(".", "")
        return
    yield from _ELISION.findall(word)
    word = word.replace("'", "")
    whole = word.translate(_JOINERS)
    if whole:
        yield whole
    for part in _PART.findall(word):
        if part != whole:
            yield part
        if letters_and_digits := _LETTERS_AND_DIGITS.fullmatch(part):
            yield from filter(None, letters_and_digits.groups())


def _fold_accents(word: str) -> str:
    """Latin letters without their accents (café: cafe); other scripts keep their marks, which tell words
    apart.
    """
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFD", word)
    folded = re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", decomposed)
    return unicodedata.normalize("NFC", folded)


def _han_terms(run: str, *, segment_for_search: bool) -> Iterator[str]:
    converter, segmenter = _CHINESE.load()
    simplified = converter.convert(run)
    words = segmenter.lcut_for_search(simplified) if segment_for_search else segmenter.lcut(simplified)
    yield from (word for word in words if len(word) > 1)
    yield from simplified
    if len(simplified) > 1:
        yield from _bigrams(simplified)


def _bigrams(run: str) -> Iterable[str]:
    """Overlapping pairs of characters; a run of one character is its own term."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _stems(word: str) -> tuple[str, ...]:
    """Terms of a word or compound as English Snowball stems (Porter 2), which leave digits and other scripts as they
    are.
    """
    return tuple(_cut(_THREAD.english.stemWords(list(_word_terms(word)))))


_known_stems = lru_cache(maxsize=1 << 15)(_stems)  # nearly all of a text is made of a few thousand words


def _cut(terms: Iterable[str]) -> Iterator[str]:
    return (term[:MAX_TERM_CHARS] for term in terms)
