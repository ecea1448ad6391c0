"""Text to overlapping chunks, counted in the embedder's tokens and cut between sentences.

Chunks are spans of the extracted text: `text[start:end]` is the chunk, exactly. Knows no model, only a `TokenCounter`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.parsing.document import TITLE_CHARS_MAX, ParsedDocument
from ingest.sentences import Span, sentence_spans

_CHARS_PER_TOKEN_MAX = 12
_CONTEXT_CHARS_MAX = 160
_CHARS_AT_ONCE = 100_000
_HEADING_BREAK_SHARE = 1 / 3


class TokenCounter(Protocol):
    """The embedder's tokeniser, without special tokens, truncation and padding."""

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text the code-point spans of its tokens, ascending."""
        ...


@dataclass(frozen=True, slots=True)
class ChunkShape:
    """`tokens`: most tokens in a chunk.

    `overlap`: tokens that a chunk repeats of the one before it (less than half).
    """

    tokens: int
    overlap: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Span `[start, end)` of the extracted text, number in the document (from 0), size in tokens, and place."""

    ordinal: int
    start: int
    end: int
    tokens: int
    page: int | None
    heading: str | None


def contextual_text(title: str | None, heading: str | None, text: str) -> str:
    """What is embedded and indexed for a chunk: title of the document, heading (both cut to 160 characters), text."""
    lines = [line[:_CONTEXT_CHARS_MAX] for line in (title, heading) if line and line not in text[: len(line) + 8]]
    return "\n".join([*dict.fromkeys(lines), text])


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    tokens: tuple[Span, ...]

    @property
    def size(self) -> int:
        return max(len(self.tokens), -(-(self.end - self.start) // _CHARS_PER_TOKEN_MAX))


def chunk_document(document: ParsedDocument, counter: TokenCounter, shape: ChunkShape) -> list[Chunk]:
    """Chunks of `document` in reading order.

    Every character that is not white space lies in at least one chunk; none has more than `shape.tokens` tokens (a
    token longer than 12 characters counts as several, so that a line of base64 cannot make a chunk endless). Where text
    goes on under the same heading, a chunk begins with the last sentences of the one before it, up to `shape.overlap`
    tokens, or, where even one sentence is longer, with that sentence's last words.
    """
    pieces = (
        part for piece in _measured(document.text, counter) for part in _split(document.text, piece, shape.tokens)
    )
    headings = [heading.start for heading in document.headings]
    pages = [page.start for page in document.pages]
    chunks = []
    for ordinal, group in enumerate(_pack(document.text, pieces, headings, shape)):
        heading = bisect_right(headings, group[0].start) - 1
        page = bisect_right(pages, group[0].start) - 1
        chunks.append(
            Chunk(
                ordinal=ordinal,
                start=group[0].start,
                end=group[-1].end,
                tokens=sum(piece.size for piece in group),
                page=document.pages[page].number if page >= 0 else None,
                heading=document.headings[heading].title[:TITLE_CHARS_MAX] if heading >= 0 else None,
            )
        )
    return chunks


def _measured(text: str, counter: TokenCounter) -> Iterator[_Piece]:
    """The sentences with their tokens, some at a time: the tokens of a whole book would take gigabytes."""
    for part in _portions(sentence_spans(text)):
        tokens = counter.token_spans([text[span.start : span.end] for span in part])
        for span, sentence in zip(part, tokens, strict=True):
            yield _Piece(span.start, span.end, tuple(Span(span.start + t.start, span.start + t.end) for t in sentence))


def _portions(spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
    first = 0
    for number, span in enumerate(spans, start=1):
        if number == len(spans) or span.end - spans[first].start > _CHARS_AT_ONCE:
            yield spans[first:number]
            first = number


def _split(text: str, piece: _Piece, capacity: int) -> Iterator[_Piece]:
    """Cut a sentence that is too long for a chunk: at a line break, a clause or a word, in this order of preference."""
    while piece.size > capacity:
        cut = _cut_point(text, piece, capacity)
        end = piece.start + len(text[piece.start : cut].rstrip())
        yield _Piece(piece.start, end, tuple(token for token in piece.tokens if token.start < end))
        rest = cut
        while rest < piece.end and text[rest].isspace():
            rest += 1
        piece = _Piece(rest, piece.end, tuple(token for token in piece.tokens if token.end > rest))
    if piece.start < piece.end:
        yield piece


def _cut_point(text: str, piece: _Piece, capacity: int) -> int:
    hard = min(piece.start + capacity * _CHARS_PER_TOKEN_MAX, piece.end)
    if len(piece.tokens) > capacity:
        hard = min(hard, piece.tokens[capacity].start)
    hard = max(hard, piece.start + 1)
    soft = piece.start + (hard - piece.start) // 2
    for separators in ("\n", ";；。", ",，、:：", " \t|"):
        found = max(text.rfind(separator, soft, hard) for separator in separators)
        if found > piece.start:
            return found + 1
    return hard


def _pack(text: str, pieces: Iterable[_Piece], headings: Sequence[int], shape: ChunkShape) -> Iterator[list[_Piece]]:
    """Groups of neighbouring pieces within the capacity.

    The first pieces may repeat the last ones of the group before.
    """
    group: list[_Piece] = []
    size = 0
    heading_starts = set(headings)
    for piece in pieces:
        begins_section = piece.start in heading_starts and size >= shape.tokens * _HEADING_BREAK_SHARE
        if group and (begins_section or size + piece.size > shape.tokens):
            yield group
            group = [] if begins_section else _overlap(text, group, min(shape.overlap, shape.tokens - piece.size))
            size = sum(part.size for part in group)
        group.append(piece)
        size += piece.size
    if group:
        yield group


def _overlap(text: str, group: Sequence[_Piece], budget: int) -> list[_Piece]:
    """The last whole sentences of `group` that fit into `budget` tokens.

    If none does, the last words of the last one.
    """
    kept: list[_Piece] = []
    for piece in reversed(group[1:]):
        if piece.size > budget:
            break
        kept.insert(0, piece)
        budget -= piece.size
    if kept or budget <= 0 or group[-1].size <= budget:
        return kept
    return _tail(text, group[-1], budget)


def _tail(text: str, piece: _Piece, budget: int) -> list[_Piece]:
    for token in piece.tokens[-budget:]:
        begins_word = (
            not (text[token.start - 1].isalnum() and text[token.start].isalnum()) or text[token.start] > "\u2e80"
        )
        if begins_word and token.start > piece.start:
            tail = _Piece(token.start, piece.end, tuple(t for t in piece.tokens if t.start >= token.start))
            return [tail] if tail.size <= budget else []
    return []
