"""Builds extracted text block by block, so that every offset is a code point of the final text by
construction.

Parsers hand over cleaned or raw strings in reading order; nothing may change the text after it is appended.
Knows no file format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ingest.parsing import failures
from ingest.parsing.document import Attachment, Heading, Page, ParsedDocument, ParseLimits

_NEWLINES = re.compile("\r\n?|[\v\f\x85\u2028\u2029]")
# control characters, soft hyphen, byte order mark, noncharacters: unseen, but every search trips over them
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRAILING_BLANKS = re.compile("[ \t]+(?=\n)")


def clean(text: str) -> str:
    """Text without characters that cannot be stored or seen: newlines become `\\n`, surrogates U+FFFD."""
    return _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _NEWLINES.sub("\n", text)))


def tidy(text: str) -> str:
    """Clean text without blanks at the ends of its lines, and without blank lines around it."""
    return _TRAILING_BLANKS.sub("", clean(text)).strip(" \n")


@dataclass(frozen=True, slots=True)
class Block:
    """One run of text. `level` 1-6 makes it a heading; a `tight` block stands on the line after the one
    before it.

    Text that was tidied before it was measured is added `as_is`, so that it keeps its length.
    """

    text: str
    level: int = 0
    tight: bool = False
    as_is: bool = False


def table_row(cells: Sequence[str]) -> str:
    """The cells of one table row on one line, parted by ` | `; empty cells keep their place, trailing ones
    go.
    """
    flat = [" ".join(cell.split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    return " | ".join(flat)


class TextBuilder:
    """Collects blocks, headings and page starts of one document and turns them into a `ParsedDocument`."""

    def __init__(self, filename: str, limits: ParseLimits) -> None:
        self._filename = filename
        self._limits = limits
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._page_starts: list[tuple[int, int]] = []

    @property
    def is_empty(self) -> bool:
        """Nothing but page starts was added so far."""
        return not self._pieces

    @property
    def first_title(self) -> str | None:
        """The first heading of level 1, if there is one."""
        return next((heading.title for heading in self._headings if heading.level == 1), None)

    def begin_page(self, number: int, *, separator: str = "\n\n") -> None:
        """Everything added from now on stands on page `number`, until the next call."""
        if len(self._page_starts) >= self._limits.pages_max:
            raise failures.too_large(self._filename, "has more than", self._limits.pages_max, "pages")
        if self._pieces and not self._pieces[-1].isspace():
            self._append(separator)
        self._page_starts.append((number, self._length))

    def add(self, block: Block) -> int | None:
        """Append a block after the separator it asks for; blank blocks are dropped.

        Returns the code point at which the block begins, or None where it was blank. Raises
        `ExtractionFailed` (`too_large`) above `text_chars_max`.
        """
        text = clean(block.text) if block.as_is else tidy(block.text)
        if not text.strip():
            return None
        if self._pieces and not self._pieces[-1].isspace():
            self._append("\n" if block.tight else "\n\n")
        start = self._length
        if block.level:
            text = " ".join(text.split())
            self._headings.append(Heading(block.level, text, start))
        self._append(text)
        return start

    def extend(self, blocks: Iterable[Block]) -> None:
        """Append several blocks in order."""
        for block in blocks:
            self.add(block)

    def mark_heading(self, level: int, title: str, start: int) -> None:
        """Note that a line already added is a heading; `start` is the code point where that line begins."""
        self._headings.append(Heading(level, title, start))

    def build(
        self,
        *,
        parser: str,
        title: str | None = None,
        document_date: date | None = None,
        quality: float = 1.0,
        attachments: Sequence[Attachment] = (),
    ) -> ParsedDocument:
        """The finished document; without a `title` its first level-1 heading serves as one.

        Raises `ExtractionFailed` (`empty_document`) where nothing was added.
        """
        text = "".join(self._pieces).rstrip()
        if not text:
            raise failures.empty(self._filename)
        return ParsedDocument(
            text=text,
            title=" ".join(clean(title or "").split()) or self.first_title,
            pages=self._pages(len(text)),
            headings=tuple(sorted(self._headings, key=lambda heading: heading.start)),
            document_date=document_date,
            quality=quality,
            attachments=tuple(attachments),
            parser=parser,
        )

    def _append(self, piece: str) -> None:
        self._length += len(piece)
        if self._length > self._limits.text_chars_max:
            raise failures.too_large(
                self._filename, "holds more than", self._limits.text_chars_max, "characters of text"
            )
        self._pieces.append(piece)

    def _pages(self, length: int) -> tuple[Page, ...]:
        starts = [min(start, length) for _, start in self._page_starts]
        ends = [*starts, length][1:]
        return tuple(
            Page(number, start, end) for (number, _), start, end in zip(self._page_starts, starts, ends, strict=True)
        )
