"""Where sentences begin and end, with exact offsets, in European and CJK text.

Sentence boundaries are sentencex's (Wikimedia); what is added here is layout: headings, list items, table rows and
short lines end a sentence although no full stop does, while a hard-wrapped line does not. Knows nothing of tokens
and chunks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import sentencex

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_STANDALONE = re.compile(r"\s*(?:#{1,6}\s|[-*+•·▪]\s|\d{1,3}[.)、]\s|\||>|```|[^:]{1,80}:\s.*;\s|.*\s\|\s)")
_ROW_OR_HEADING = re.compile(r"\s*(?:#{1,6}\s|\||.*\s\|\s)")
_FINAL = tuple(".!?:;。！？：；…\"'”’）)」』】")
_MARKER = re.compile(r"(?:\d{1,3}|[A-Za-z])[.)、]")
_SHORT_LINE_SHARE = 0.6
_WINDOW_CHARS = 10_000
_ENGLISH, _CHINESE = "en", "zh"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range `[start, end)` of code points."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def cjk_share(text: str) -> float:
    """Share in [0, 1] of CJK characters (Han and kana) among the letters of `text`; 0 without letters."""
    if text.isascii():
        return 0.0
    letters = sum(character.isalpha() for character in text)
    return len(_CJK.findall(text)) / letters if letters else 0.0


def sentence_spans(text: str) -> list[Span]:
    """Spans of the sentences of `text`, ascending, without overlap, without surrounding white space.

    Everything but white space lies in exactly one span.
    """
    return [sentence for block in _blocks(text) for sentence in _sentences(text, block)]


def _blocks(text: str) -> list[Span]:
    """Runs of lines that belong together: what stands between blank, standalone and visibly short lines."""
    blocks: list[Span] = []
    lines = _lines(text)
    widest = _line_widths(text, lines)
    open_start: int | None = None
    for index, line in enumerate(lines):
        content = text[line.start : line.end]
        standalone = bool(_STANDALONE.match(content))
        if open_start is not None and (standalone or not content.strip()):
            blocks.append(Span(open_start, line.start))
            open_start = None
        if not content.strip():
            continue
        if open_start is None:
            open_start = line.start
        if _ROW_OR_HEADING.match(content) or _ends_block(text, lines, index, widest[index]):
            blocks.append(Span(open_start, line.end))
            open_start = None
    if open_start is not None:
        blocks.append(Span(open_start, len(text)))
    return blocks


def _lines(text: str) -> list[Span]:
    spans, start = [], 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        spans.append(Span(start, end))
        start = end + 1
    return spans


def _line_widths(text: str, lines: list[Span]) -> list[int]:
    """For each line the width of the widest line of its paragraph (run of non-blank lines)."""
    widths = [0] * len(lines)
    begin = 0
    for index in range(len(lines) + 1):
        if index < len(lines) and text[lines[index].start : lines[index].end].strip():
            continue
        widest = max((len(line) for line in lines[begin:index]), default=0)
        widths[begin:index] = [widest] * (index - begin)
        begin = index + 1
    return widths


def _ends_block(text: str, lines: list[Span], index: int, widest: int) -> bool:
    """A line much shorter than its paragraph, without final punctuation, before a line that begins afresh: a title."""
    if index + 1 >= len(lines):
        return False
    line = text[lines[index].start : lines[index].end].rstrip()
    following = text[lines[index + 1].start : lines[index + 1].end].lstrip()
    if not following or line.endswith((*_FINAL, ",", "-", "，", "、")):
        return False
    begins_afresh = following[0].isupper() or following[0].isdigit() or bool(_CJK.match(following))
    return begins_afresh and len(line) < _SHORT_LINE_SHARE * widest


def _sentences(text: str, block: Span) -> list[Span]:
    content = text[block.start : block.end]
    language = _CHINESE if cjk_share(content) > 0.3 else _ENGLISH
    spans: list[Span] = []
    # sentencex takes a blank line or a form feed for a boundary of its own; a wrapped line is white space to us
    for boundary in _boundaries(content.replace("\n", " "), language):
        start, end = _trimmed(content, boundary.start, boundary.end)
        if start == end:
            continue
        if len(spans) == 1 and _MARKER.fullmatch(text, spans[0].start, spans[0].end):
            start = spans.pop().start - block.start  # the number of a list item is no sentence
        spans.append(Span(block.start + start, block.start + end))
    return spans


def _boundaries(flat: str, language: str) -> Iterator[Span]:
    """Sentences of one block, read a window at a time: sentencex takes a time that grows with the square of its input.

    The last sentence of a window is read again with the next one; one as long as a window is cut there.
    """
    start = 0
    while start < len(flat):
        window = flat[start : start + _WINDOW_CHARS]
        found = [
            Span(one["start_index"], one["end_index"]) for one in sentencex.get_sentence_boundaries(language, window)
        ]
        is_last = start + len(window) == len(flat)
        whole = found if is_last or len(found) < 2 else found[:-1]
        for one in whole:
            yield Span(start + one.start, start + one.end)
        start += len(window) if is_last or not whole else max(1, whole[-1].end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
