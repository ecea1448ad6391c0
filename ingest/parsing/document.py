"""What every parser takes and gives, whatever library it stands on. Knows no parser, no process and no catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

TITLE_CHARS_MAX = 500
"""Code points of a title or heading that are kept: what is longer is text that was marked as one. It goes with each
passage into every search and answer.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Half-open code-point span `[start, end)` of page `number` (from 1) in the extracted text."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of `level` (1 is the highest) whose line begins at code point `start` of the extracted text."""

    level: int
    title: str
    start: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file carried inside a mail: its name as sent, its media type and its bytes."""

    filename: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds on one document; crossing one fails that document with a clear error and nothing else.

    A scan has `ocr_page_s` more time for each page that was recognised, up to `ocr_pages_max` pages.
    """

    timeout_s: float = 120.0
    memory_bytes: int = 4 << 30
    pages_max: int = 5_000
    decompressed_bytes_max: int = 1 << 30
    text_chars_max: int = 20_000_000
    ocr_page_s: float = 10.0
    ocr_pages_max: int = 1_000
    attachments_max: int = 1_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to be parsed: where its bytes lie, its name as the caller gave it, its media type, its password if any."""

    path: Path
    filename: str
    media_type: str
    password: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """Extracted text with its structure. All offsets are Unicode code points into `text`; pages and headings ascend.

    `pages` is empty for formats without pages. `quality` in [0, 1] estimates how well the text was extracted (1: native
    text; lower for OCR and for text with undecodable characters). `document_date` is the date that the document itself
    states in its metadata (mail date, modification property), never the date of the upload.
    """

    text: str
    title: str | None
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    document_date: date | None = None
    quality: float = 1.0
    attachments: tuple[Attachment, ...] = ()
    parser: str = ""


class Parser(Protocol):
    """Turns one file into text. Raises `ExtractionFailed` with one of its codes; never returns empty text."""

    name: str

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument: ...
