from __future__ import annotations

import pytest

from ingest.parsing.records import record_lines


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["Name", "Age"], ["Ann", "30"]], ["Name | Age", "Name: Ann; Age: 30"]),
        (
            [["Prices 2024"], ["Item", "EUR"], ["Tea", "3"]],
            ["Prices 2024", "Item | EUR", "Item: Tea; EUR: 3"],
        ),
        ([["1", "2"], ["3", "4"]], ["1; 2", "3; 4"]),
        ([["A", "B"], ["1", ""], ["", ""], ["2", "3"]], ["A | B", "A: 1", "A: 2; B: 3"]),
        ([["A", "B"], ["1", "2", "extra"]], ["A | B", "A: 1; B: 2; extra"]),
        ([["only"], ["one"], ["column"]], ["only", "one", "column"]),
        ([["A", "A"], ["x", "y"]], ["A; A", "x; y"]),
        ([["A", "B"], ["two\nlines", "x"]], ["A | B", "A: two lines; B: x"]),
        ([], []),
    ],
)
def test_rows_carry_the_names_of_their_columns(rows: list[list[str]], expected: list[str]) -> None:
    """Title lines, headers, tables below each other, ragged rows."""
    assert list(record_lines(rows)) == expected
