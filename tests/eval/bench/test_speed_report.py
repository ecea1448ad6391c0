"""The table and the plot of speed."""

from __future__ import annotations

from xml.etree import ElementTree

from eval.bench.speed_report import Row, markdown_table, plot


def row(system: str, passages: int, *per_second: float, **measured: float) -> Row:
    """A row of loads at 1, 16 and 64 clients."""
    loads = [
        {"clients": clients, "per_second": speed, "p50_ms": 2.0, "p95_ms": 4.04}
        for clients, speed in zip((1, 16, 64), per_second, strict=True)
    ]
    return {"system": system, "passages": passages, "loads": loads, **measured}


ROWS = [row("citewell", 1000, 100, 1234, 900, documents_per_second=50.4, disk_mib=3), row("<peer>", 1000, 20, 30, 25)]


def test_a_line_a_system_with_dashes_for_what_was_not_measured() -> None:
    """In the order of the rows."""
    lines = markdown_table(ROWS).splitlines()
    assert lines[0].endswith("searches/s at 1 / 16 / 64 clients |")
    assert lines[2] == "| 1,000 | citewell | 50 | - | - | 3 | 2.0, 4.0 | 100 / 1,234 / 900 |"
    assert lines[3] == "| 1,000 | <peer> | - | - | - | - | 2.0, 4.0 | 20 / 30 / 25 |"


def test_the_plot_has_a_bar_a_row_longer_for_the_faster() -> None:
    """Of the loads of 16 clients; names are escaped."""
    svg = ElementTree.fromstring(plot(ROWS))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in svg.findall(f"{space}rect")[1:]]
    assert len(widths) == 2
    assert widths[0] > widths[1]
    texts = [text.text for text in svg.findall(f"{space}text")]
    assert {"<peer>", "1,234", "30", "1,000 passages"} <= set(texts)
