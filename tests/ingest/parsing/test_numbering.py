from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ingest.parsing.numbering import Numbering
from tests.ingest.parsing.samples import WORD


def numbering(*levels: tuple[str, str, int]) -> Numbering:
    """One list, number 7, whose levels are (format, pattern, start)."""
    parts = "".join(
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="{start}"/><w:numFmt w:val="{kind}"/>'
        f'<w:lvlText w:val="{pattern}"/></w:lvl>'
        for depth, (kind, pattern, start) in enumerate(levels)
    )
    root = ElementTree.fromstring(  # noqa: S314 - our own XML
        f'<w:numbering xmlns:w="{WORD}"><w:abstractNum w:abstractNumId="1">{parts}</w:abstractNum>'
        '<w:num w:numId="7"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
    )
    return Numbering(root)


def test_levels_count_and_restart() -> None:
    """A deeper level starts again below each new number."""
    lists = numbering(("decimal", "%1.", 1), ("lowerLetter", "%1.%2)", 1))
    labels = [lists.label("7", depth) for depth in (0, 1, 1, 0, 1)]
    assert labels == ["1.", "1.a)", "1.b)", "2.", "2.a)"]


@pytest.mark.parametrize(
    ("kind", "start", "expected"),
    [
        ("decimalZero", 3, "03"),
        ("upperLetter", 27, "AA"),
        ("lowerRoman", 14, "xiv"),
        ("upperRoman", 1994, "MCMXCIV"),
        ("chineseCounting", 1, "一"),
        ("chineseCountingThousand", 10, "十"),
        ("chineseCountingThousand", 23, "二十三"),
        ("cardinalText", 5, "5"),
        ("none", 5, ""),
    ],
)
def test_number_formats(kind: str, start: int, expected: str) -> None:
    """Formats that Word offers; unknown ones in decimal."""
    assert numbering((kind, "%1", start)).label("7", 0) == expected


def test_bullets_and_unknown_lists() -> None:
    """A bullet is a dash; a list that is not defined has no label."""
    lists = numbering(("bullet", "", 1))
    assert lists.label("7", 0) == "-"
    assert lists.label("8", 0) == ""
    assert Numbering(None).label("1", 0) == ""
