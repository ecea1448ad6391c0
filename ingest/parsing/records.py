"""Renders the rows of spreadsheets and CSV files so that each line can be read and quoted without the rest.

A row becomes `Name: value; Other name: value`. The header row itself is kept as a line too, so no cell is
lost even where the guess about headers is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ingest.parsing.blocks import table_row

HEADER_CELL_CHARS_MAX = 200
_NUMBER = re.compile(r"[-+(]?[\d.,\s]+[%)]?")

Row = Sequence[str]


def record_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of text for a sheet. Blank rows part it into tables; each may start with title lines and a header
    row.

    A table without a header row of its own goes on under the header of the table before it.
    """
    header: Row = ()
    for table in _tables(rows):
        titles = _count_titles(table)
        for title in table[:titles]:
            yield table_row([cell for cell in title if cell.strip()])
        body = table[titles:]
        if _has_header(body):
            header, body = body[0], body[1:]
            yield table_row(header)
        for row in body:
            yield _record(header, row)


def _tables(rows: Sequence[Row]) -> Iterator[list[Row]]:
    table: list[Row] = []
    for row in rows:
        if any(cell.strip() for cell in row):
            table.append(row)
        elif table:
            yield table
            table = []
    if table:
        yield table


def _count_titles(table: Sequence[Row]) -> int:
    """How many leading rows hold one cell only while a wider row follows; 0 for a table of one column."""
    for count, row in enumerate(table):
        if _width(row) > 1:
            return count
    return 0


def _has_header(table: Sequence[Row]) -> bool:
    if len(table) < 2:
        return False
    names = [cell.strip() for cell in table[0] if cell.strip()]
    return (
        len(names) > 1
        and len(set(names)) == len(names)
        and all(len(name) <= HEADER_CELL_CHARS_MAX and not _NUMBER.fullmatch(name) for name in names)
    )


def _record(header: Row, row: Row) -> str:
    fields = []
    for column, cell in enumerate(row):
        value = " ".join(cell.split())
        name = " ".join(header[column].split()) if column < len(header) else ""
        if value:
            fields.append(f"{name}: {value}" if name else value)
    return "; ".join(fields)


def _width(row: Row) -> int:
    return sum(bool(cell.strip()) for cell in row)
