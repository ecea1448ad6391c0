"""Reads HTML with the standard library's event parser: any nesting, no escapes to undo, nothing fetched.

Text is kept as a browser would show it without style sheets; links keep their text, pictures vanish. Table
rows become one line each, unless the table is only there for the layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from typing import Literal

from ingest.parsing import dates, failures
from ingest.parsing.blocks import Block, TextBuilder, clean, table_row
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.encodings import decode

_CHARSET = re.compile(rb"<(?:meta[^>]*?charset\s*=|\?xml[^>]*?encoding\s*=)\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_CHARSET_BYTES = 4096
_SKIPPED = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})
_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption
    figure footer form header hgroup hr html legend li main menu nav ol option p pre section summary table
    tbody td tfoot th thead title tr ul h1 h2 h3 h4 h5 h6
    """.split()  # noqa: SIM905 - a list of 52 strings reads worse
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLANKS = re.compile("[ \t\n\r\f]+")
_DATE_NAMES = (
    "article:modified_time", "og:updated_time", "last-modified", "dcterms.modified", "article:published_time",
    "dcterms.date", "dc.date", "date",
)  # fmt: skip
TABLE_DEPTH_MAX = 30
_LAYOUT_CELL_CHARS = 600
_SPAN_MAX = 50


class HtmlParser:
    """Reads `text/html` in its declared or detected encoding."""

    name = "html"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        if source.path.stat().st_size > limits.decompressed_bytes_max:
            raise failures.too_large(source.filename, "has more than", limits.decompressed_bytes_max, "bytes")
        markup, damaged = decode_html(source.path.read_bytes())
        page = read_html(markup)
        builder = TextBuilder(source.filename, limits)
        builder.extend(page.blocks)
        return builder.build(parser=self.name, title=page.title, document_date=page.modified, quality=1 - damaged)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Blocks in reading order, the content of `<title>`, and the date that the page's metadata states."""

    blocks: tuple[Block, ...]
    title: str | None
    modified: date | None


def decode_html(data: bytes, declared: str | None = None) -> tuple[str, float]:
    """Markup and the share of its characters that could not be decoded.

    `declared` is the charset of the mail or HTTP header; without it the one in the markup counts.
    """
    found = _CHARSET.search(data[:_CHARSET_BYTES])
    decoded = decode(data, declared or (found[1].decode("ascii") if found else None))
    return decoded.text, decoded.damaged


def read_html(markup: str) -> HtmlPage:
    """Read one page; broken markup never raises."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return HtmlPage(tuple(reader.finish()), reader.title, reader.modified)


@dataclass(slots=True)
class _Frame:
    """An open table, row or cell (or the whole page), with the blocks read in it so far."""

    kind: Literal["page", "table", "row", "cell"]
    blocks: list[Block] = field(default_factory=list)
    cells: list[list[Block]] = field(default_factory=list)
    span: int = 1


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: str | None = None
        self._dates: dict[str, date] = {}
        self._frames = [_Frame("page")]
        self._tables = 0
        self._text: list[str] = []
        self._skipping = ""
        self._skip_depth = 0
        self._preformatted = 0
        self._level = 0
        self._marker = ""
        self._lists: list[int | None] = []

    @property
    def modified(self) -> date | None:
        return next((self._dates[name] for name in _DATE_NAMES if name in self._dates), None)

    def finish(self) -> Iterator[Block]:
        """Close whatever the page left open and give its blocks."""
        self._flush()
        while len(self._frames) > 1:
            self._close_frame()
        yield from self._frames[0].blocks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipping:
            self._skip_depth += tag == self._skipping
            return
        if tag in _SKIPPED:
            self._skipping, self._skip_depth = tag, 1
        elif tag == "br":
            self._text.append("\n")
        elif tag == "meta":
            self._note_date(dict(attrs))
        elif tag in _BLOCKS:
            self._flush()
            self._open_block(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if self._skipping:
            self._skip_depth -= tag == self._skipping
            if not self._skip_depth:
                self._skipping = ""
        elif tag == "title":
            self._take_title()
        elif tag in _BLOCKS:
            self._flush()
            self._close_block(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _SKIPPED:  # `<script/>` skips nothing
            self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self._text.append(data if self._preformatted else _BLANKS.sub(" ", data))

    def _open_block(self, tag: str, attrs: dict[str, str | None]) -> None:
        if tag in _HEADINGS:
            self._level = _HEADINGS[tag]
        elif tag == "pre":
            self._preformatted += 1
        elif tag in ("ul", "ol", "menu", "dir"):
            self._lists.append(_number(attrs.get("start"), 10**6) if tag == "ol" else None)
        elif tag == "li":
            self._marker = self._next_marker()
        elif tag == "table":
            self._open_table()
        elif tag == "tr":
            self._close_frames("row")
            if self._frames[-1].kind == "table":
                self._frames.append(_Frame("row"))
        elif tag in ("td", "th"):
            self._close_frames("cell")
            if self._frames[-1].kind == "row":
                self._frames.append(_Frame("cell", span=_number(attrs.get("colspan"), _SPAN_MAX)))

    def _close_block(self, tag: str) -> None:
        if tag in _HEADINGS:
            self._level = 0
        elif tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        elif tag in ("ul", "ol", "menu", "dir") and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._marker = ""
        elif tag == "table":
            self._close_table()
        elif tag == "tr":
            self._close_frames("row")
        elif tag in ("td", "th"):
            self._close_frames("cell")

    def _next_marker(self) -> str:
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _take_title(self) -> None:
        title = " ".join("".join(self._text).split())
        self.title = self.title or title or None
        self._text.clear()

    def _note_date(self, attrs: dict[str, str | None]) -> None:
        name = (attrs.get("property") or attrs.get("name") or attrs.get("http-equiv") or "").lower()
        found = dates.parse_date(attrs.get("content"))
        if found is not None:
            self._dates.setdefault(name, found)

    def _open_table(self) -> None:
        self._tables += 1
        if self._tables <= TABLE_DEPTH_MAX:  # deeper ones are read as plain blocks
            self._frames.append(_Frame("table"))

    def _close_table(self) -> None:
        if not self._tables:
            return
        self._tables -= 1
        if self._tables >= TABLE_DEPTH_MAX:
            return
        while self._frames[-1].kind != "table":
            self._close_frame()
        self._close_frame()

    def _close_frames(self, kind: str) -> None:
        """Close the innermost open row or cell of the innermost table, with what it contains."""
        kinds = []
        for frame in reversed(self._frames):
            if frame.kind in ("table", "page"):
                break
            kinds.append(frame.kind)
        if kind in kinds:
            for _ in range(kinds.index(kind) + 1):
                self._close_frame()

    def _close_frame(self) -> None:
        frame = self._frames.pop()
        parent = self._frames[-1]
        if frame.kind == "cell":
            parent.cells.append(frame.blocks)
            parent.cells.extend([] for _ in range(frame.span - 1))  # keeps later columns below their headers
        elif frame.kind == "row":
            parent.blocks.extend(_row_blocks(frame.cells, tight=bool(parent.blocks)))
        else:
            self._sink().extend(frame.blocks)

    def _flush(self) -> None:
        """End the current run of inline text; it becomes a block unless it is blank."""
        text = "".join(self._text)
        self._text.clear()
        if not self._preformatted:
            text = "\n".join(line for line in (one.strip(" ") for one in text.split("\n")) if line)
        if not text.strip():
            return
        self._sink().append(Block(self._marker + text, self._level, tight=bool(self._marker) and not self._first()))
        self._marker = ""

    def _first(self) -> bool:
        """The block before is no list item, so this item starts a list."""
        blocks = self._sink()
        return not blocks or not re.match(r"- |\d+\. ", blocks[-1].text)

    def _sink(self) -> list[Block]:
        return next(frame.blocks for frame in reversed(self._frames) if frame.kind != "row")


def _row_blocks(cells: list[list[Block]], *, tight: bool) -> list[Block]:
    """A data row on one line; the cells of a layout row one after the other."""
    blocks = [block for cell in cells for block in cell]
    crowded = any(len(cell) > 1 for cell in cells) and sum(len(block.text) for block in blocks) > _LAYOUT_CELL_CHARS
    if crowded or len(cells) == 1 or any(block.level for block in blocks):
        return blocks
    line = table_row([" ".join(clean(block.text) for block in cell) for cell in cells])
    return [Block(line, tight=tight)] if line.strip(" |") else []


def _number(attribute: str | None, greatest: int) -> int:
    """A count written in the markup, 1 where it is missing or no number."""
    return min(int(attribute), greatest) if re.fullmatch(r"[1-9]\d{0,8}", attribute or "") and attribute else 1
