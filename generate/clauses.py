"""What can be quoted, and where a quote begins and ends: whole sentences around an answer, and of a very long one the
clauses around it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.sentences import Span

QUOTE_WORDS_MAX = 40
"""A quote longer than that is cut at clauses: an answer beyond 40 words counts as wrong (docs/evaluation.md)."""

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_CLAUSE_END = re.compile(r"(?<=[;；,，、：:|)])\s+|(?<=[；，、：])|\n|\s(?=\()|\s[-–—]\s")

_HEADING_LINE = re.compile(r"\s*#{1,6}\s")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:[ \t]*(?:[\w.-]+[ \t]*:|- |#)[^\n]*\n)+(?=---[ \t]*(?:\n|\Z))")
_RULE = re.compile(r"[\s:|-]+\Z")
_QUESTION_END = re.compile(r"[?？][\s\"'”’)）\]*_`]*$")


def can_answer(text: str, sentence: Span) -> bool:
    """Whether a sentence of `text` may be quoted as an answer: headings, rules of tables, questions and the metadata at
    the head of a Markdown file may not.
    """
    head = _FRONT_MATTER.match(text)
    if head and sentence.start < head.end():
        return False
    line = text.rfind("\n", 0, sentence.start) + 1
    said = text[sentence.start : sentence.end]
    return not (_HEADING_LINE.match(text, line, sentence.end) or _RULE.match(said) or _QUESTION_END.search(said))


def count_words(text: str) -> int:
    """Words of spaced scripts and CJK characters."""
    return sum(1 for _ in _WORD.finditer(text))


def sentences_around(text: str, span: Span, sentences: Sequence[Span]) -> Span:
    """From the begin of the sentence in which `span` begins to the end of the one in which it ends; of several
    paragraphs (or a heading and its paragraph) only the one that holds most of `span`.
    """
    paragraphs: list[Span] = []
    for sentence in (s for s in sentences if s.start < span.end and span.start < s.end):
        if paragraphs and "\n\n" not in text[paragraphs[-1].end : sentence.start]:
            paragraphs[-1] = Span(paragraphs[-1].start, sentence.end)
        else:
            paragraphs.append(sentence)
    return max(paragraphs, key=lambda p: len(_common(p, span)), default=span)


def cut_around(text: str, quote: Span, keep: Span, *, words_max: int = QUOTE_WORDS_MAX) -> Span:
    """The part of `text[quote]` around `keep` that has at most `words_max` words, cut at clauses; `keep` itself where
    even its clause is longer. Spans of code points of `text`; the result has no white space at its ends.
    """
    if count_words(text[quote.start : quote.end]) <= words_max:
        return quote
    inside = text[quote.start : quote.end]
    bounds = sorted({quote.start, quote.end, *(quote.start + found.end() for found in _CLAUSE_END.finditer(inside))})
    first = max((i for i, bound in enumerate(bounds) if bound <= keep.start), default=0)
    last = min((i for i, bound in enumerate(bounds) if bound >= keep.end), default=len(bounds) - 1)
    if count_words(text[bounds[first] : bounds[last]]) > words_max:
        return _window(text, quote, keep, words_max)
    grown = True
    while grown:
        grown = False
        for begin, end in ((first - 1, last), (first, last + 1)):
            fits = begin >= 0 and end < len(bounds)
            if fits and count_words(text[bounds[begin] : bounds[end]]) <= words_max:
                first, last, grown = begin, end, True
    return _trimmed(text, bounds[first], bounds[last])


def _common(one: Span, other: Span) -> Span:
    start = max(one.start, other.start)
    return Span(start, max(start, min(one.end, other.end)))


def _window(text: str, quote: Span, keep: Span, words_max: int) -> Span:
    """`keep` with as many words before and after it as fit, half on each side."""
    words = [Span(*found.span()) for found in _WORD.finditer(text, quote.start, quote.end)]
    kept = [i for i, word in enumerate(words) if word.start < keep.end and keep.start < word.end]
    if not kept:
        return keep
    spare = max(0, words_max - len(kept))
    first = max(0, kept[0] - spare // 2)
    last = min(len(words) - 1, kept[-1] + spare - (kept[0] - first))
    return Span(min(words[first].start, keep.start), max(words[last].end, keep.end))


def _trimmed(text: str, start: int, end: int) -> Span:
    held = text[start:end]
    return Span(start + len(held) - len(held.lstrip()), end - (len(held) - len(held.rstrip())))
