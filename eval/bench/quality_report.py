"""The table and the plot of retrieval quality that docs/performance.md shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from eval.retrieval_sets import RetrievalSet

Scores = Mapping[str, Mapping[str, NDArray[np.float64]]]

_LEFT, _TOP, _ROW, _WIDTH = 150, 40, 34, 560
_COLOURS = ("#0b5fff", "#7a9cff", "#b9c9ff", "#d1495b", "#edae49", "#2e8b57", "#888888", "#bbbbbb")


def markdown_table(sets: Sequence[RetrievalSet], scores: Scores) -> str:
    """Means of each set's own measure, systems as columns, the best of a row bold; the last row is the mean."""
    systems = _systems(scores)
    lines = [f"| set, questions | {' | '.join(systems)} |", "|---" * (len(systems) + 1) + "|"]
    for passages in sets:
        of_set = {system: _mean(scores[passages.name], system) for system in systems}
        measure = "" if passages.measure == "RR@10" else f" ({passages.measure})"
        lines.append(_line(f"{passages.name}{measure}, {len(passages.questions):,}", of_set))
    everywhere = [system for system in systems if all(system in of for of in scores.values())]
    means = {system: float(np.mean([of[system].mean() for of in scores.values()])) for system in everywhere}
    lines.append(_line("mean", {system: means.get(system) for system in systems}))
    return "\n".join(lines) + "\n"


def plot(scores: Scores) -> str:
    """An SVG with a row a set and a dot a system, on an axis from 0 to 1."""
    systems = _systems(scores)
    height = _TOP + _ROW * (len(scores) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{height + 30 + 18 * 3}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-weight="bold">MRR@10 (cranfield: nDCG@10)</text>',
    ]
    for tick in range(11):
        x = _LEFT + _WIDTH * tick / 10
        parts.append(f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{height}" stroke="#eee"/>')
        parts.append(f'<text x="{x}" y="{height + 14}" text-anchor="middle">{tick / 10:.1f}</text>')
    parts.extend(part for row, name in enumerate(scores) for part in _dots(row, name, scores[name], systems))
    parts.extend(_legend(systems, height))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dots(row: int, name: str, of_set: Mapping[str, NDArray[np.float64]], systems: Sequence[str]) -> Iterator[str]:
    y = _TOP + _ROW * (row + 0.7)
    yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
    for system, colour in reversed(list(zip(systems, _COLOURS, strict=False))):
        if system in of_set:
            x, size = _LEFT + _WIDTH * float(of_set[system].mean()), 6 if system == systems[0] else 4.5
            yield f'<circle cx="{x:.1f}" cy="{y}" r="{size}" fill="{colour}"/>'


def _legend(systems: Sequence[str], height: int) -> Iterator[str]:
    for number, (system, colour) in enumerate(zip(systems, _COLOURS, strict=False)):
        x, y = _LEFT + 190 * (number % 3), height + 36 + 18 * (number // 3)
        yield f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{colour}"/>'
        yield f'<text x="{x + 10}" y="{y}">{escape(system)}</text>'


def _systems(scores: Scores) -> list[str]:
    return list(dict.fromkeys(system for of_set in scores.values() for system in of_set))


def _mean(of_set: Mapping[str, NDArray[np.float64]], system: str) -> float | None:
    return float(of_set[system].mean()) if system in of_set else None


def _line(name: str, values: Mapping[str, float | None]) -> str:
    best = max((round(value, 3) for value in values.values() if value is not None), default=0.0)
    cells = [_cell(value, best) for value in values.values()]
    return f"| {name} | {' | '.join(cells)} |"


def _cell(value: float | None, best: float) -> str:
    if value is None:
        return "-"
    text = f"{value:.3f}".removeprefix("0")
    return f"**{text}**" if round(value, 3) == best else text
