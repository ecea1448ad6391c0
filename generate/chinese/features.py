"""What speaks for each span of a Chinese sentence as the answer to a question.

The features are those of early extractive readers (Rajpurkar et al., EMNLP 2016, section 5: words in common, near and
far, the kind of thing) and one that Chinese allows, whose questions keep the order of statements: how far the words
before and after the asking phrase stand before and after the span.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from generate.chinese.questions import KINDS, Focus
from generate.chinese.spans import (
    CLAUSE_MARKS,
    FUNCTION_TAGS,
    OPENING,
    SPAN_KINDS,
    TAG_GROUPS,
    WORDS_MAX,
    BoolArray,
    IntArray,
    Places,
)
from generate.chinese.text import words

FloatArray = NDArray[np.float32]

SENTENCE_FEATURES = (
    "held",
    "held_around",
    "held_in_passage",
    "held_with_title",
    "pairs",
    "rank",
    "fused",
    "first",
    "length",
    "cosine",
    "cosine_lead",
    "passage_cosine",
)
"""Order of what `Sentence.shared` holds; see `generate.chinese.reader`."""

_NEAR = (8, 16, 32)
_SIDE = 24
_ALIGNED_MAX = 6
_FAR, _NOWHERE = 20, 10_000
_HEAD_GAP = 4
_UNIT_CHARS = 2
_UNSAYING = frozenset({"是", "有", "为"})
_BEFORE = "是为叫称名于在由被给让向从自与和、，「《“（的了至到"
_AFTER = "的、，。」》”）（人年所和与等为是地州国在"
_NUMERIC = 6 + 4 + 17
COLUMNS = (
    len(SENTENCE_FEATURES) + _NUMERIC + len(_BEFORE) + len(_AFTER) + 2 * len(TAG_GROUPS) + len(KINDS) * len(SPAN_KINDS)
)
"""How many features a span has."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The question's words that are to be found again, folded, with weights; those left and right of its focus."""

    weights: Mapping[str, float]
    left: frozenset[str]
    right: frozenset[str]


def terms_of(focus: Focus, sentences: Sequence[str]) -> Terms:
    """Words that say something, weighted by ln(1 + n / df) over the `n` folded sentences."""
    left, right = _content(focus.left), _content(focus.right)
    counts = Counter(term for sentence in sentences for term in left | right if term in sentence)
    n = len(sentences) or 1
    weights = {term: math.log(1 + n / max(counts[term], 1)) for term in sorted(left | right)}
    return Terms(weights, frozenset(left), frozenset(right))


def held_share(terms: Terms, text: str) -> float:
    """The weighted share in [0, 1] of the terms that stand in the folded text."""
    total = sum(terms.weights.values())
    return sum(weight for term, weight in terms.weights.items() if term in text) / total if total else 0.0


def pair_share(focus: Focus, text: str) -> float:
    """The share in [0, 1] of the question's pairs of characters that stand in the folded text."""
    pairs = _pairs(focus)
    return sum(pair in text for pair in pairs) / len(pairs) if pairs else 0.0


def span_features(focus: Focus, terms: Terms, text: str, shared: Sequence[float], places: Places) -> FloatArray:
    """float32 array of shape (n_spans, COLUMNS). `shared` is what is the same for all spans of the folded sentence."""
    columns = [
        *(np.full(len(places), value) for value in shared),
        *_near(terms, text, places),
        *_sides(terms, text, places),
        *_words(focus, text, places),
        *_one_hot(_class_of(_BEFORE, "\n" + text, places.start), len(_BEFORE)),
        *_one_hot(_class_of(_AFTER, text + "\n", places.end), len(_AFTER)),
        *_one_hot(_groups(places, places.first), len(TAG_GROUPS)),
        *_one_hot(_groups(places, places.last), len(TAG_GROUPS)),
        *_one_hot(KINDS.index(focus.kind) * len(SPAN_KINDS) + places.kind, len(KINDS) * len(SPAN_KINDS)),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _content(text: str) -> set[str]:
    found = {(text[w.start : w.end], w.tag) for w in words(text) if w.tag not in FUNCTION_TAGS}
    return {word for word, tag in found if word not in _UNSAYING and (len(word) > 1 or tag[0] in "nvma")}


def _pairs(focus: Focus) -> set[str]:
    return {part[i : i + 2] for part in (focus.left, focus.right) for i in range(len(part) - 1)}


@dataclass(frozen=True, slots=True, eq=False)
class _Occurrences:
    """Where a word stands in a text, overlaps included: int64 arrays of shape (1, n)."""

    start: IntArray
    end: IntArray

    @classmethod
    def of(cls, text: str, word: str) -> _Occurrences:
        """None of the empty word."""
        starts: list[int] = []
        at = text.find(word) if word else -1
        while at >= 0:
            starts.append(at)
            at = text.find(word, at + 1)
        found = np.array(starts, dtype=np.int64)[None, :]
        return cls(found, found + len(word))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Occurrences of terms in a text, of shape (1, n), for each term that stands there its weight and its columns, and
    the weight of all terms: of a long question a sentence holds few.
    """

    start: IntArray
    end: IntArray
    own: tuple[tuple[float, slice], ...]
    total: float

    @classmethod
    def of(cls, terms: Collection[str], weights: Mapping[str, float], text: str) -> _Found:
        present = [term for term in terms if term in text]
        parts = [_Occurrences.of(text, term) for term in present]
        bounds = np.concatenate([[0], np.cumsum([part.start.shape[1] for part in parts], dtype=np.int64)]).tolist()
        nothing = np.zeros((1, 0), dtype=np.int64)
        return cls(
            np.concatenate([nothing, *(part.start for part in parts)], axis=1),
            np.concatenate([nothing, *(part.end for part in parts)], axis=1),
            tuple((weights[term], slice(*place)) for term, place in zip(present, pairwise(bounds), strict=True)),
            sum(weights[term] for term in terms) or 1.0,
        )

    def weight(self, hit: BoolArray) -> FloatArray:
        """The share of the weight of all terms that those have of which an occurrence is hit; `hit` is (n_spans, n)."""
        share = np.zeros(len(hit), dtype=np.float32)
        for weight, columns in self.own:
            share += hit[:, columns].any(axis=1) * np.float32(weight / self.total)
        return share


def _near(terms: Terms, text: str, places: Places) -> list[FloatArray]:
    """Shares of the terms within 8, 16 and 32 characters; distance to the nearest on each side (1: 20 or more); share
    inside.
    """
    found = _Found.of(terms.weights, terms.weights, text)
    begin, end = places.start[:, None], places.end[:, None]
    left = np.where(found.end <= begin, begin - found.end, _NOWHERE)
    right = np.where(found.start >= end, found.start - end, _NOWHERE)
    gap = np.minimum(left, right)
    return [
        *(found.weight(gap <= width) for width in _NEAR),
        *((side.min(axis=1, initial=_FAR) / _FAR).astype(np.float32) for side in (left, right)),
        found.weight((found.start < end) & (found.end > begin)),
    ]


def _sides(terms: Terms, text: str, places: Places) -> list[FloatArray]:
    """Shares of the terms of each side of the focus that stand near the span on that side, then on the other one."""
    begin, end = places.start[:, None], places.end[:, None]
    columns = []
    for side, before in ((terms.left, True), (terms.right, False), (terms.left, False), (terms.right, True)):
        found = _Found.of(sorted(side), terms.weights, text)
        gap = begin - found.end if before else found.start - end
        columns.append(found.weight((gap >= 0) & (gap <= _SIDE)))
    return columns


def _words(focus: Focus, text: str, places: Places) -> list[FloatArray]:
    """Share of the span's pairs of characters that the question has; how far the question goes on word for word before
    it and after it; whether the noun asked for stands at its end, inside, after, before, whether its last character or
    the unit asked for ends it; its length in characters and words; whether a clause begins and ends with it; commas
    and list marks inside; whether it is quoted or begins with the quotation mark.
    """
    start, end = places.start, places.end
    length = end - start
    noun, unit = _Occurrences.of(text, focus.head), _Occurrences.of(text, focus.right[:_UNIT_CHARS])
    asked, characters = _pairs(focus), set(focus.left + focus.right)
    paired = _running(text[i : i + 2] in asked for i in range(len(text)))
    single = np.array([c in characters for c in text], dtype=np.float32)
    marks = np.array([True, *(c in CLAUSE_MARKS for c in text), True])
    commas, lists = _running(c in "，,；" for c in text), _running(c == "、" for c in text)
    opening = np.array([False, *(c in OPENING for c in text)])
    at_words = (places.first >= 0) & (places.last >= 0)
    columns = [
        np.where(length > 1, (paired[end - 1] - paired[start]) / np.maximum(length - 1, 1), single[start]),
        _common(focus.left[::-1], [text[:i][::-1] for i in range(len(text))])[start],
        _common(focus.right, [text[i:] for i in range(len(text) + 1)])[end],
        _any(noun.end == end[:, None]),
        _any((noun.start >= start[:, None]) & (noun.end <= end[:, None])),
        _any(noun.start == end[:, None]),
        _any((noun.end <= start[:, None]) & (start[:, None] - noun.end <= _HEAD_GAP)),
        _any(_Occurrences.of(text, focus.head[-1:]).end == end[:, None]),
        _any((unit.start >= start[:, None]) & (unit.end <= end[:, None]) & (end[:, None] - unit.end <= _UNIT_CHARS)),
        np.log1p(length) / 4,
        np.where(at_words, places.last - places.first + 1, WORDS_MAX) / WORDS_MAX,
        marks[start],
        marks[end + 1],
        commas[end] > commas[start],
        lists[end] > lists[start],
        opening[start],
        opening[start + 1],
    ]
    return [column.astype(np.float32) for column in columns]


def _running(flags: Iterable[bool]) -> IntArray:
    """How many of the flags before each place are set."""
    return np.concatenate([[0], np.cumsum(np.fromiter(flags, dtype=np.int64))])


def _common(asked: str, sides: Sequence[str]) -> FloatArray:
    """How many characters each side text has in common with the begin of `asked`, up to 6, divided by 6."""
    lengths = []
    for side in sides:
        n = 0
        while n < _ALIGNED_MAX and n < len(asked) and n < len(side) and asked[n] == side[n]:
            n += 1
        lengths.append(n / _ALIGNED_MAX)
    return np.array(lengths, dtype=np.float32)


def _any(hit: BoolArray) -> BoolArray:
    """For each row of shape (n_spans, n), whether any of it is set."""
    found: BoolArray = np.logical_or.reduce(hit, axis=1)
    return found


def _class_of(known: str, characters: str, place: IntArray) -> IntArray:
    """The index in `known` of the character at each place, -1 for any other."""
    indices: IntArray = np.array([known.find(c) for c in characters], dtype=np.int64)[place]
    return indices


def _groups(places: Places, word: IntArray) -> IntArray:
    """The tag group of each span's word, -1 where no word bounds it."""
    return np.where(word >= 0, places.groups[word], -1)


def _one_hot(indices: IntArray, size: int) -> list[FloatArray]:
    """`size` columns; a row of zeros for -1."""
    rows = np.zeros((len(indices), size), dtype=np.float32)
    known = indices >= 0
    rows[np.flatnonzero(known), indices[known]] = 1.0
    return list(rows.T)
