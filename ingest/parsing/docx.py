"""Reads Word documents: paragraphs, headings by style, lists with their numbers, tables, formulas, footnotes.

Own code, because the library used for other office formats loses `&`, `<` and `>` from DOCX, and inline
formulas. Headers, footers, comments and deleted text are left out; there are no pages, since a DOCX has none
until it is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ingest.parsing import failures, ooxml
from ingest.parsing.blocks import Block, TextBuilder, table_row
from ingest.parsing.containers import ZipContainer
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.numbering import Numbering
from ingest.parsing.ooxml import attribute, child, local, value

_SKIPPED = frozenset({"del", "moveFrom", "Fallback", "rt", "pPr", "rPr", "tblPr", "tcPr", "trPr", "sectPr"})
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_STYLE_DEPTH_MAX = 20
_SPAN_MAX = 100
_FOOTNOTE_PARTS = ("footnotes", "endnotes")


@dataclass(frozen=True, slots=True)
class _Style:
    level: int
    list_id: str | None
    depth: int | None


_NO_STYLE = _Style(0, None, None)


class DocxParser:
    """Text of the main part in reading order, footnotes and endnotes after it."""

    name = "docx"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        try:
            return self._read(source, limits)
        except RecursionError as error:
            raise failures.broken(source.filename, "its tables are nested too deeply") from error

    def _read(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        with ZipContainer(source, limits) as container:
            part = ooxml.main_part(container, "word/document.xml")
            body = child(container.read_xml(part), "body")
            if body is None:
                raise failures.broken(source.filename, "it has no Word document inside")
            reader = _Reader(_styles(container, part), Numbering(_related_xml(container, part, "numbering")))
            builder = TextBuilder(source.filename, limits)
            for block in reader.blocks(body):
                builder.add(block)
            for note in _notes(container, part):
                builder.add(note)
            properties = ooxml.properties(container)
        return builder.build(parser=self.name, title=properties.title, document_date=properties.modified)


class _Reader:
    """Turns the body into blocks; remembers the counters of lists."""

    def __init__(self, styles: dict[str, _Style], numbering: Numbering) -> None:
        self._styles = styles
        self._numbering = numbering
        self._in_list = False

    def blocks(self, body: Element) -> Iterator[Block]:
        for element in _children(body, {"p", "tbl"}):
            if local(element.tag) == "p":
                yield from self._paragraph(element)
            else:
                yield from self._table(element)

    def _paragraph(self, paragraph: Element) -> Iterator[Block]:
        style = self._style(paragraph)
        text, boxes = _inline(paragraph)
        label = self._label(paragraph, style) if text.strip() else ""
        if label:
            text = f"{label} {text.lstrip()}"
        tight = bool(label) and self._in_list and not style.level
        self._in_list = bool(label) and not style.level
        yield Block(text, style.level, tight)
        for box in boxes:
            yield from self.blocks(box)

    def _table(self, table: Element) -> Iterator[Block]:
        self._in_list = False
        rows = [self._cells(row) for row in _children(table, {"tr"})]
        if max(map(len, rows), default=0) == 1:  # a frame around paragraphs rather than a table
            for row in rows:
                yield from (block for cell in row for block in cell)
            return
        for index, row in enumerate(rows):
            yield Block(table_row([" ".join(block.text for block in cell) for cell in row]), tight=index > 0)

    def _cells(self, row: Element) -> list[list[Block]]:
        """The blocks of each cell; a cell that spans several columns is followed by empty ones."""
        cells: list[list[Block]] = []
        for cell in _children(row, {"tc"}):
            cells.append(list(self.blocks(cell)))
            span = _number(value(cell, "tcPr", "gridSpan")) or 1
            cells.extend([] for _ in range(min(span, _SPAN_MAX) - 1))
        return cells

    def _style(self, paragraph: Element) -> _Style:
        style = self._styles.get(value(paragraph, "pPr", "pStyle") or "", _NO_STYLE)
        own = value(paragraph, "pPr", "outlineLvl")
        return style if own is None else _Style(_heading_level(own), style.list_id, style.depth)

    def _label(self, paragraph: Element, style: _Style) -> str:
        list_id = value(paragraph, "pPr", "numPr", "numId") or style.list_id
        depth = _number(value(paragraph, "pPr", "numPr", "ilvl"))
        if list_id is None or list_id == "0":
            return ""
        return self._numbering.label(list_id, depth if depth is not None else style.depth or 0)


def _children(element: Element, wanted: set[str]) -> Iterator[Element]:
    """The nearest descendants of the wanted kinds, through content controls and tracked insertions."""
    stack = [iter(element)]
    while stack:
        for one in stack[-1]:
            name = local(one.tag)
            if name in wanted:
                yield one
            elif name not in _SKIPPED:
                stack.append(iter(one))
                break
        else:
            stack.pop()


def _inline(paragraph: Element) -> tuple[str, list[Element]]:
    """A paragraph's text as it is read, and the text boxes anchored in it."""
    pieces, boxes = [], []
    for one in _children(paragraph, {"t", "txbxContent", *_CHARACTERS}):
        name = local(one.tag)
        if name == "txbxContent":
            boxes.append(one)
        elif name == "t":
            pieces.append(one.text or "")
        else:
            pieces.append(_CHARACTERS[name])
    return "".join(pieces), boxes


def _notes(container: ZipContainer, part: str) -> Iterator[Block]:
    for kind in _FOOTNOTE_PARTS:
        root = _related_xml(container, part, kind)
        for note in root if root is not None else ():
            if attribute(note, "type") is None:  # separators have a type, notes have none
                yield Block(" ".join(_inline(paragraph)[0].strip() for paragraph in _children(note, {"p"})))


def _related_xml(container: ZipContainer, part: str, kind: str) -> Element | None:
    return next((container.read_xml(name) for name in ooxml.related(container, part, kind)), None)


def _styles(container: ZipContainer, part: str) -> dict[str, _Style]:
    """Heading level and list of each paragraph style, inherited along `basedOn`."""
    root = _related_xml(container, part, "styles")
    elements = {attribute(one, "styleId") or "": one for one in root} if root is not None else {}
    return {style_id: _resolve(style_id, elements) for style_id in elements}


def _resolve(style_id: str, elements: dict[str, Element]) -> _Style:
    level, list_id, depth = 0, None, None
    for _ in range(_STYLE_DEPTH_MAX):
        element = elements.get(style_id)
        if element is None:
            break
        level = level or _style_level(element)
        list_id = list_id or value(element, "pPr", "numPr", "numId")
        depth = depth if depth is not None else _number(value(element, "pPr", "numPr", "ilvl"))
        style_id = value(element, "basedOn") or ""
    if level and depth is None:  # numbered headings count at the depth of their level
        depth = level - 1
    return _Style(level, list_id, depth)


def _style_level(style: Element) -> int:
    name = (value(style, "name") or "").lower()
    if name == "title":
        return 1
    if name.startswith("heading ") and name[8:].isdigit():
        return min(int(name[8:]), 6)
    return _heading_level(value(style, "pPr", "outlineLvl"))


def _heading_level(outline: str | None) -> int:
    """Word's outline levels are 0 to 8 for headings and 9 for body text; deeper than 6 counts as 6."""
    number = _number(outline)
    return 0 if number is None or number > 8 else min(number + 1, 6)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
