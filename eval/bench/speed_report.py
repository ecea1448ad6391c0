"""The table and the plot of speed beside other libraries that docs/performance.md shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

Row = dict[str, Any]
"""Figures of one system at one size: `system`, `passages`, `loads` (of `eval.bench.loads.Load`), and what was measured
of `documents_per_second`, `build_s`, `memory_mib` and `disk_mib`.
"""

_LEFT, _TOP, _LINE, _WIDTH = 190, 50, 22, 520
_OURS, _OTHERS = "#0b5fff", "#888888"
_PLOTTED_CLIENTS = 16
_MEASURES = (
    ("documents_per_second", "{:,.0f}"),
    ("build_s", "{:.1f}"),
    ("memory_mib", "{:,.0f}"),
    ("disk_mib", "{:,.0f}"),
)


def markdown_table(rows: Sequence[Row]) -> str:
    """A line a system and size; what was not measured is a dash."""
    clients = [load["clients"] for load in rows[0]["loads"]]
    head = ["passages", "system", "documents/s", "build, s", "memory, MiB", "disk, MiB", "p50, p95 alone, ms"]
    head.append(f"searches/s at {' / '.join(map(str, clients))} clients")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        alone = row["loads"][0]
        cells = [f"{row['passages']:,}", row["system"]]
        cells += [text.format(row[name]) if name in row else "-" for name, text in _MEASURES]
        cells.append(f"{alone['p50_ms']:.1f}, {alone['p95_ms']:.1f}")
        cells.append(" / ".join(f"{load['per_second']:,.0f}" for load in row["loads"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(rows: Sequence[Row]) -> str:
    """An SVG with a bar a system and size: searches a second at 16 clients, or the most there were, logarithmic."""
    sizes = list(dict.fromkeys(row["passages"] for row in rows))
    speeds = [_speed(row) for row in rows]
    decades = max(1, math.ceil(math.log10(max(speeds))))
    height = _TOP + _LINE * (len(rows) + len(sizes)) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 80}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-weight="bold">Searches a second at {_PLOTTED_CLIENTS} clients</text>',
    ]
    for decade in range(decades + 1):
        x = _LEFT + _WIDTH * decade / decades
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{_TOP - 10}" y2="{height - 20}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.0f}" y="{_TOP - 14}" text-anchor="middle">{10**decade:,}</text>')
    y = _TOP
    for size in sizes:
        parts.append(f'<text x="8" y="{y + 14}" font-weight="bold">{size:,} passages</text>')
        y += _LINE
        for row, speed in zip(rows, speeds, strict=True):
            if row["passages"] == size:
                parts += _bar(row["system"], speed, y, _WIDTH * max(math.log10(max(speed, 1)), 0.01) / decades)
                y += _LINE
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(system: str, speed: float, y: int, width: float) -> list[str]:
    colour = _OURS if system.startswith("citewell") else _OTHERS
    return [
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(system)}</text>',
        f'<rect x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_LINE - 6}" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 6:.1f}" y="{y + 14}">{speed:,.0f}</text>',
    ]


def _speed(row: Row) -> float:
    fitting = [load["per_second"] for load in row["loads"] if load["clients"] <= _PLOTTED_CLIENTS]
    return float(fitting[-1])
