"""What documents may not do to a terminal."""

from __future__ import annotations

import pytest

from api.cli.output import one_line, print_table, printable


def test_control_characters_are_made_visible() -> None:
    """Escape sequences and direction overrides lose their power; line breaks, tabs and all scripts stay."""
    assert printable("a\x1b[31mb\u202ec\r\n\t港 😀\x9b") == "a\ufffd[31mb\ufffdc\ufffd\n\t港 😀\ufffd"


def test_a_cell_is_one_line() -> None:
    """So that a row is a row."""
    assert one_line(" a\nb\t c\x07 ") == "a b c\ufffd"


def test_tables_are_plain_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Tabs between the cells, nothing for None, no head."""
    print_table(["A", "B"], [("x\ty", None), (1, "[bold]z")])
    assert capsys.readouterr().out == "x y\t\n1\t[bold]z\n"


def test_tables_are_drawn_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a head; cells are text, never markup."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(["Name"], [("[bold]z",)])
    told = capsys.readouterr().out
    assert "Name" in told
    assert "[bold]z" in told
