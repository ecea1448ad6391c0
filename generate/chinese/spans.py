"""Where in a Chinese sentence an answer may stand, and what sort of thing stands there."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generate.chinese.text import Word, words
from ingest.caches import remembers_texts

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SPAN_KINDS = ("other", "noun", "title", "number", "latin", "organisation", "place", "person", "clause", "time")
TAG_GROUPS = ("n", "nr", "ns", "nt", "nz", "m", "q", "t", "v", "a", "eng", "x", "other")

WORDS_MAX = 9
_CHARS_MAX = 48
_CACHED_SENTENCES = 2048
FUNCTION_TAGS = frozenset({*"upcyxrdfeo", "uj", "ul", "ud", "uv", "uz", "ug"})
"""jieba's tags of words that say nothing by themselves, and of punctuation."""

CLAUSE_MARKS = frozenset("，,。；;：:、！!？?（）()\n")
_CLAUSE_END = re.compile(r"[，,。；;：:！？]")
OPENING, _CLOSING = frozenset("《“「『"), frozenset("》”」』")
_TIME = re.compile(
    r"(?:公元前?|西元前?|前)?[0-9一二三四五六七八九〇零十]{1,4}(?:年代?|世纪|月|日|号|时|点)|朝|时期|时代|年间|[春夏秋冬]季|[初末晚后]期"
)
_NUMBER = re.compile(r"[0-9一二三四五六七八九十百千万亿两半几%％]")
_KINDS_OF_TAGS = (("person", "nr"), ("place", "ns"), ("organisation", "nt"), ("latin", "eng"))
_VERBS_MAX = 3


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Candidate spans `[start, end)` of one folded sentence, int64 arrays of shape (n_spans,), in code points.

    `first` and `last` are the indices of their words, -1 for a run of clauses that no words bound; `kind` is an index
    into `SPAN_KINDS`; `groups` holds for each word of the sentence an index into `TAG_GROUPS`.
    """

    start: IntArray
    end: IntArray
    first: IntArray
    last: IntArray
    kind: IntArray
    groups: IntArray

    def __len__(self) -> int:
        return len(self.start)


@remembers_texts(_CACHED_SENTENCES)
def places_of(text: str) -> Places:
    """Runs of up to nine words of a folded text that begin and end with no function word, and runs of clauses."""
    tokens = words(text)
    starts, ends = {word.start: i for i, word in enumerate(tokens)}, {word.end: i for i, word in enumerate(tokens)}
    spans = dict.fromkeys([*_word_runs(text, tokens), *_clause_runs(text)])
    start = np.array([span[0] for span in spans], dtype=np.int64)
    end = np.array([span[1] for span in spans], dtype=np.int64)
    first = np.array([starts.get(span[0], -1) for span in spans], dtype=np.int64)
    last = np.array([ends.get(span[1], -1) for span in spans], dtype=np.int64)
    groups = np.array([_group(word.tag) for word in tokens], dtype=np.int64)
    return Places(start, end, first, last, _kinds(text, tokens, start, end, first, last), groups)


def _word_runs(text: str, tokens: tuple[Word, ...]) -> list[tuple[int, int]]:
    heads = [text[word.start : word.end] for word in tokens]
    marks = [head in CLAUSE_MARKS for head in heads]
    content = [not mark and word.tag not in FUNCTION_TAGS for word, mark in zip(tokens, marks, strict=True)]
    found = []
    for i, word in enumerate(tokens):
        if not content[i] and heads[i] not in OPENING:
            continue
        for j in range(i, min(len(tokens), i + WORDS_MAX)):
            if marks[j] and heads[j] != "、":
                break
            if content[j] or heads[j] in _CLOSING:
                found.append((word.start, tokens[j].end))
    return found


def _clause_runs(text: str) -> list[tuple[int, int]]:
    bounds = [0, *(mark.end() for mark in _CLAUSE_END.finditer(text)), len(text)]
    found = []
    for i, start in enumerate(bounds):
        for bound in bounds[i + 1 :]:
            end = start + len(text[start:bound].rstrip("，,。；;：:！？ \n"))
            if end - start > _CHARS_MAX:
                break
            if end - start > 1:
                found.append((start, end))
    return found


def _kinds(
    text: str, tokens: tuple[Word, ...], start: IntArray, end: IntArray, first: IntArray, last: IntArray
) -> IntArray:
    """The first that fits, for each span: clause, time, clause with a verb, name of a kind, number, title, noun."""
    if not len(start):
        return np.zeros(0, dtype=np.int64)
    tags = [word.tag for word in tokens]
    at_words = (first >= 0) & (last >= 0)

    def inside(flags: list[bool]) -> IntArray:
        sums = np.concatenate([[0], np.cumsum(np.array(flags, dtype=np.int64))])
        counts: IntArray = sums[last + 1] - sums[first]
        return counts

    def characters(flags: list[bool]) -> IntArray:
        sums = np.concatenate([[0], np.cumsum(np.array(flags, dtype=np.int64))])
        counts: IntArray = sums[end] - sums[start]
        return counts

    def word_is(place: IntArray, wanted: list[bool]) -> BoolArray:
        found: BoolArray = np.array(wanted)[place]
        return found

    times = [match.span() for match in _TIME.finditer(text)]
    timed = np.zeros(len(start), dtype=bool)
    for begin, stop in times:
        timed |= (start <= begin) & (stop <= end) & (end - stop <= 1)
    quoted = np.array([False, *(c in OPENING for c in text)])
    conditions: list[tuple[BoolArray, str]] = [
        (~at_words | (characters([c in "，," for c in text]) > 0), "clause"),
        (timed, "time"),
        ((inside([tag[0] == "v" for tag in tags]) > 0) & (last - first >= _VERBS_MAX), "clause"),
        *((inside([tag.startswith(wanted) for tag in tags]) > 0, kind) for kind, wanted in _KINDS_OF_TAGS),
        (
            (characters([bool(_NUMBER.match(c)) for c in text]) > 0)
            & word_is(first, [tag in {"m", "x", "eng"} for tag in tags]),
            "number",
        ),
        (quoted[start] | quoted[start + 1], "title"),
        (word_is(last, [tag[0] in "nlijz" or tag == "vn" for tag in tags]), "noun"),
    ]
    return np.select([c for c, _ in conditions], [SPAN_KINDS.index(kind) for _, kind in conditions], 0)


def _group(tag: str) -> int:
    for name in (tag, tag[:2], tag[:1]):
        if name in TAG_GROUPS:
            return TAG_GROUPS.index(name)
    return len(TAG_GROUPS) - 1
