"""Reads plain text, Markdown and character-separated values. The text of a file is kept as its author wrote
it.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from datetime import date

from ingest.parsing import dates, failures
from ingest.parsing.blocks import Block, TextBuilder, clean
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.encodings import DecodedText, decode
from ingest.parsing.media_types import TSV
from ingest.parsing.records import Row, record_lines

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_NOT_A_TITLE = re.compile(r"\s*($|[|>#*+-]|\d+[.)]|```|~~~|<)")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FRONT_MATTER_DATES = ("modified", "last_modified", "lastmod", "updated", "date")
_BYTES_PER_CHAR_MAX = 4  # of UTF-8, UTF-32 and GB 18030
_DELIMITERS = ",;\t|"
_CELL_LINES_MAX = 100  # a longer cell is a stray quotation mark that swallowed the rest of the file


class PlainTextParser:
    """Reads `text/plain` in any common encoding; a plain text has no headings and no pages."""

    name = "text"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        decoded = _read(source, limits)
        builder = TextBuilder(source.filename, limits)
        builder.add(Block(decoded.text))
        return builder.build(parser=self.name, quality=1 - decoded.damaged)


class MarkdownParser:
    """Reads Markdown and MDX as text; marks headings outside of code; front matter stays and gives title and
    date.
    """

    name = "markdown"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        decoded = _read(source, limits)
        builder = TextBuilder(source.filename, limits)
        text = clean(decoded.text).strip("\n")
        builder.add(Block(text, as_is=True))
        matter = _front_matter(text)
        for level, title, start in markdown_headings(text):
            builder.mark_heading(level, title, start)
        return builder.build(
            parser=self.name,
            title=matter.get("title"),
            document_date=_matter_date(matter),
            quality=1 - decoded.damaged,
        )


class CsvParser:
    """Reads comma-, semicolon-, tab- and bar-separated values; each row becomes a line that names its
    columns.
    """

    name = "csv"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        decoded = _read(source, limits)
        rows = read_rows(clean(decoded.text), "\t" if source.media_type == TSV else None)
        builder = TextBuilder(source.filename, limits)
        for line in record_lines(rows):
            builder.add(Block(line, tight=True))
        return builder.build(parser=self.name, quality=1 - decoded.damaged)


def markdown_headings(text: str) -> Iterator[tuple[int, str, int]]:
    """Level, title and starting code point of each heading of a Markdown text, outside of code and front
    matter.
    """
    front = _FRONT_MATTER.match(text)
    start = front.end() if front else 0
    fence = ""
    above, above_start = "", start
    for line in text[start:].splitlines(keepends=True):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and line.strip().startswith(fence) and not line.strip().strip(fence[0]) else fence
        elif mark:
            fence = mark[1]
        elif found := _ATX.match(line.rstrip("\n")):
            yield len(found[1]), found[2].strip(), start
        elif (rule := _UNDERLINE.match(line.rstrip("\n"))) and not _NOT_A_TITLE.match(above):
            yield 1 if rule[1].startswith("=") else 2, above.strip(), above_start
        above, above_start = ("" if fence or mark else line), start
        start += len(line)


def read_rows(text: str, delimiter: str | None = None) -> list[Row]:
    """All rows of a character-separated text; without a `delimiter` the one that gives the steadiest width is
    used.
    """
    csv.field_size_limit(sys.maxsize)
    delimiter = delimiter or _steadiest_delimiter(text)
    rows: list[Row] = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    if any(cell.count("\n") > _CELL_LINES_MAX for row in rows for cell in row):
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return rows


def _steadiest_delimiter(text: str) -> str:
    sample = text[:100_000].splitlines(keepends=True)[:50]

    def steadiness(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(sample, delimiter=delimiter) if len(row) > 1]
        commonest = max(widths, key=widths.count, default=0)
        return widths.count(commonest), commonest

    return max(_DELIMITERS, key=steadiness)


def _read(source: SourceFile, limits: ParseLimits) -> DecodedText:
    """Raises `ExtractionFailed` (`too_large`) for what must be too long a text, before it is decoded."""
    bytes_max = min(limits.decompressed_bytes_max, _BYTES_PER_CHAR_MAX * limits.text_chars_max)
    if source.path.stat().st_size > bytes_max:
        raise failures.too_large(source.filename, "has more than", bytes_max, "bytes")
    return decode(source.path.read_bytes())


def _front_matter(text: str) -> dict[str, str]:
    """The simple `name: value` lines of the front matter; nested values are left alone."""
    found = _FRONT_MATTER.match(text)
    lines = found[1].splitlines() if found else []
    pairs = (line.partition(":") for line in lines if line[:1].strip() and ":" in line)
    return {name.strip().lower(): value.strip().strip("\"'") for name, _, value in pairs}


def _matter_date(matter: dict[str, str]) -> date | None:
    return next((found for name in _FRONT_MATTER_DATES if (found := dates.parse_date(matter.get(name)))), None)
