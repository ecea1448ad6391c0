"""What commands print: tables and colours on a terminal, plain tab-separated lines otherwise, JSON on request.

Text of documents may hold anything; `printable` keeps it from steering the terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """The text with control characters (but line breaks and tabs) and direction overrides made visible as �."""
    return "".join(
        "\ufffd" if character in _DIRECTION_CONTROLS or _is_control(character) else character for character in text
    )


def one_line(text: str) -> str:
    """Printable text on one line."""
    return printable(" ".join(text.split()))


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False) -> None:
    """A table on a terminal; elsewhere a line a row, tabs between the cells, without a head."""
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    if not (sys.stderr if err else sys.stdout).isatty():
        for row in cells:
            typer.echo("\t".join(row), err=err)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")  # an id that is cut short could not be used in the next command
    for row in cells:
        table.add_row(*map(Text, row))
    Console(stderr=err).print(table)


@contextmanager
def status(message: str) -> Iterator[None]:
    """Shows `message` on a terminal's stderr while the block runs."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(message)):
        yield


def _is_control(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) == "Cc"
