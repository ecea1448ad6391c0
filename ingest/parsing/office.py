"""Reads XLSX, XLS, DOC, MSG, EPUB, RTF and ODT with kreuzberg, without OCR, cache or network.

Its document tree is rendered here instead of its Markdown: Markdown would need its escapes undone by
guessing, and its page offsets drift. kreuzberg's 4.x line ends in 2026; nothing outside of this file knows
it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import kreuzberg

from ingest.parsing import dates, failures
from ingest.parsing.blocks import Block, TextBuilder, table_row
from ingest.parsing.containers import OLE_MAGIC, ZipContainer, refuse_encrypted_ole
from ingest.parsing.document import ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.media_types import DOC, EPUB, MSG, ODT, RTF, XLS, XLSX
from ingest.parsing.records import record_lines

_MAGIC = {DOC: OLE_MAGIC, MSG: OLE_MAGIC, RTF: b"{\\rtf", EPUB: b"PK", ODT: b"PK", XLSX: b"PK"}
_SPREADSHEETS = frozenset({XLSX, XLS})
_MIDNIGHT = re.compile(r"\b(\d{4}-\d{2}-\d{2}) 00:00:00\b")
_DATE_KEYS = ("modified_at", "created_at")

Grid = list[list[str]]


class OfficeParser:
    """One parser for all kinds that kreuzberg reads; sheets of a workbook become headings of level 2."""

    name = "kreuzberg"

    def parse(self, source: SourceFile, limits: ParseLimits) -> ParsedDocument:
        """See `Parser`. Encrypted files raise `password_required` even with a password: none is tried."""
        _check_container(source, limits)
        result = _extract(source)
        builder = TextBuilder(source.filename, limits)
        for block in _blocks(result.document or {"nodes": []}, source.media_type in _SPREADSHEETS):
            builder.add(block)
        title = result.metadata.get("title") or result.metadata.get("subject")
        return builder.build(
            parser=self.name,
            title=title if isinstance(title, str) else None,
            document_date=_date(result.metadata),
        )


def _check_container(source: SourceFile, limits: ParseLimits) -> None:
    """Refuse what kreuzberg would misread: encryption, archives over the limit, files that are something
    else.
    """
    refuse_encrypted_ole(source)
    with source.path.open("rb") as file:
        head = file.read(8)
    if zipfile.is_zipfile(source.path):
        with ZipContainer(source, limits) as container:
            container.check_contents()
    elif not head.startswith(_MAGIC.get(source.media_type, b"")):
        raise failures.broken(source.filename, "its content is not of the kind that its name says")


def _extract(source: SourceFile) -> Any:
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        output_format="plain",
        enable_quality_processing=False,
        disable_ocr=True,  # type: ignore[call-arg] # missing from the stub of 4.10
        include_document_structure=True,
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        return kreuzberg.extract_file_sync(source.path, source.media_type, config)
    except kreuzberg.KreuzbergError as error:
        if re.search("password|encrypt", str(error), re.IGNORECASE):
            raise failures.encrypted_office(source.filename) from error
        raise failures.broken(source.filename, f"it is damaged ({error.message})") from error


def _blocks(document: dict[str, Any], spreadsheet: bool) -> Iterator[Block]:
    """The tree's nodes lie in reading order; groups and lists only repeat what their children say."""
    was_item = False
    for node in document["nodes"]:
        content = node["content"]
        kind = content["node_type"]
        if kind == "table":
            yield from _table(_grid(content["grid"]), spreadsheet)
        elif kind == "metadata_block":  # the headers of a mail
            yield from (Block(f"{name}: {value}", tight=True) for name, value in content["entries"])
        elif kind == "list_item":
            yield Block(f"- {content['text']}", tight=was_item)
        elif kind not in ("group", "list", "image"):
            yield Block(content.get("text") or "", level=min(content.get("level") or 0, 6))
        was_item = kind == "list_item"


def _grid(grid: dict[str, Any]) -> Grid:
    rows: Grid = [[""] * grid["cols"] for _ in range(grid["rows"])]
    for cell in grid["cells"]:
        rows[cell["row"]][cell["col"]] = _MIDNIGHT.sub(r"\1", cell["content"])
    return rows


def _table(rows: Grid, spreadsheet: bool) -> Iterator[Block]:
    lines = record_lines(rows) if spreadsheet else map(table_row, rows)
    for index, line in enumerate(lines):
        yield Block(line, tight=index > 0)


def _date(metadata: dict[str, Any]) -> date | None:
    values = (metadata.get(key) for key in _DATE_KEYS)
    return next((found for one in values if isinstance(one, str) and (found := dates.parse_date(one))), None)
