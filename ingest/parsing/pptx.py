"""Reads presentations slide by slide: titles, text of all shapes, tables, charts, diagrams and the speaker's
notes.

Own code, because the library used for other office formats puts blanks inside of words where their look
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from ingest.parsing import failures, ooxml
from ingest.parsing.blocks import Block, TextBuilder, table_row
from ingest.parsing.containers import ZipContainer
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.ooxml import attribute, child, local

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"dt", "ftr", "sldNum", "hdr"})
_SLIDE_LEVEL = 1


class PptxParser:
    """One page per slide, in the order of the presentation; hidden slides are included."""

    name = "pptx"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`."""
        with ZipContainer(source, limits) as container:
            slides = _slides(container)
            if not slides:
                raise failures.broken(source.filename, "it has no slides inside")
            builder = TextBuilder(source.filename, limits)
            for number, slide in enumerate(slides, start=1):
                builder.begin_page(number)
                for block in _slide_blocks(container, slide):
                    builder.add(block)
            properties = ooxml.properties(container)
        return builder.build(parser=self.name, title=properties.title, document_date=properties.modified)


def _slides(container: ZipContainer) -> list[str]:
    part = ooxml.main_part(container, "ppt/presentation.xml")
    targets = ooxml.relationships(container, part)
    ids = child(container.read_xml(part), "sldIdLst")
    paths = (targets.get(_relationship_id(one), ("", ""))[1] for one in (ids if ids is not None else ()))
    return [path for path in paths if path in container.names]


def _relationship_id(element: Element) -> str:
    """The namespaced `r:id`; the plain `id` beside it means something else."""
    return next((value for key, value in element.attrib.items() if key.endswith("}id")), "")


def _slide_blocks(container: ZipContainer, slide: str) -> Iterator[Block]:
    root = container.read_xml(slide)
    if root is None:
        return
    shapes = [one for one in root.iter() if local(one.tag) in ("sp", "tbl")]
    for shape in (one for one in shapes if _placeholder(one) in _TITLES):
        yield Block(" ".join(_paragraphs(shape)), _SLIDE_LEVEL)
    for shape in (one for one in shapes if _placeholder(one) not in _TITLES | _FURNITURE):
        yield from _table(shape) if local(shape.tag) == "tbl" else _tight(_paragraphs(shape))
    for chart in ooxml.related(container, slide, "chart"):
        yield from _chart(container.read_xml(chart))
    for diagram in ooxml.related(container, slide, "diagramData"):
        yield from _tight(_paragraphs(container.read_xml(diagram)))
    for notes in ooxml.related(container, slide, "notesSlide"):
        yield from _notes(container.read_xml(notes))


def _placeholder(shape: Element) -> str:
    found = child(shape, "nvSpPr", "nvPr", "ph")
    return "" if found is None else attribute(found, "type") or "body"


def _paragraphs(element: Element | None) -> list[str]:
    """Text of each `a:p` below an element; its runs stand next to each other as on the slide."""
    if element is None:
        return []
    return [_run_text(one) for one in element.iter() if local(one.tag) == "p"]


def _run_text(paragraph: Element) -> str:
    pieces = []
    for one in paragraph.iter():
        name = local(one.tag)
        if name == "t":
            pieces.append(one.text or "")
        elif name == "br":
            pieces.append("\n")
    return "".join(pieces)


def _tight(paragraphs: list[str]) -> Iterator[Block]:
    for index, text in enumerate(text for text in paragraphs if text.strip()):
        yield Block(text, tight=index > 0)


def _table(table: Element) -> Iterator[Block]:
    rows = [one for one in table if local(one.tag) == "tr"]
    for index, row in enumerate(rows):
        cells = [" ".join(_paragraphs(cell)) for cell in row if local(cell.tag) == "tc"]
        yield Block(table_row(cells), tight=index > 0)


def _chart(root: Element | None) -> Iterator[Block]:
    """The chart's title and one row per category, as in the table that Excel keeps for it."""
    chart = child(root, "chart")
    yield from _tight(_paragraphs(child(chart, "title")))
    series = [one for one in chart.iter() if local(one.tag) == "ser"] if chart is not None else []
    if not series:
        return
    names = ["", *(" ".join(_values(one, "tx")) for one in series)]
    columns = [_values(series[0], "cat"), *(_values(one, "val") for one in series)]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    yield Block(table_row(names))
    for row in zip(*padded, strict=True):
        yield Block(table_row(row), tight=True)


def _values(series: Element, part: str) -> list[str]:
    found = child(series, part)
    return [one.text or "" for one in found.iter() if local(one.tag) == "v"] if found is not None else []


def _notes(root: Element | None) -> Iterator[Block]:
    shapes = [one for one in root.iter() if local(one.tag) == "sp"] if root is not None else []
    texts = [text for one in shapes if _placeholder(one) == "body" for text in _paragraphs(one)]
    if any(text.strip() for text in texts):
        yield Block("Notes:")
        for text in texts:
            yield Block(text, tight=True)
