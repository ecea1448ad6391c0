"""Plots as inline SVG, drawn with text that stays text. Colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 14, 38


@dataclass(frozen=True, slots=True)
class Series:
    """A line of (x, y) points; `style` is a class of the page's style sheet."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str


def line_plot(
    series: Sequence[Series], *, title: str, x_label: str, y_label: str, y_range: tuple[float, float] | None = None
) -> str:
    """Lines over one pair of axes; a single point is drawn as a dot. Empty text without any point."""
    points = [point for one in series for point in one.points]
    if not points:
        return ""
    x_low, x_high = _range([x for x, _ in points])
    y_low, y_high = y_range or _range([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - (y - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM),
        )

    body = [_axes(title, x_label, y_label, (x_low, x_high), (y_low, y_high))]
    for number, one in enumerate(series):
        placed = [place(*point) for point in one.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        body.append(f'<polyline class="line {one.style}" points="{path}"/>')
        body += [f'<circle class="dot {one.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.2"/>' for x, y in placed[:80]]
        body.append(
            f'<text class="key {one.style}" x="{_WIDTH - _RIGHT}" y="{_TOP + 12 + 14 * number}" text-anchor="end">'
            f"{escape(one.name)}</text>"
        )
    return _svg(title, body)


def interval_bar(low: float | None, value: float, high: float | None, limit: float) -> str:
    """A change with its interval on a scale from -limit to limit, zero in the middle."""
    width, height = 160, 18

    def place(number: float) -> float:
        return width / 2 * (1 + max(-1.0, min(1.0, number / limit)))

    parts = [f'<line class="axis" x1="{width / 2}" y1="2" x2="{width / 2}" y2="{height - 2}"/>']
    if low is not None and high is not None:
        parts.append(f'<line class="line now" x1="{place(low):.1f}" y1="9" x2="{place(high):.1f}" y2="9"/>')
    parts.append(f'<circle class="dot now" cx="{place(value):.1f}" cy="9" r="3.5"/>')
    return (
        f'<svg class="bar" viewBox="0 0 {width} {height}" role="img" aria-label="{value:+.3f}">{"".join(parts)}</svg>'
    )


def histogram(values: Sequence[float], *, title: str, x_label: str, bins: int = 10) -> str:
    """Counts of values in [0, 1]; empty text without values."""
    if not values:
        return ""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int(value * bins)))] += 1
    highest = max(counts)
    step = (_WIDTH - _LEFT - _RIGHT) / bins
    room = _HEIGHT - _TOP - _BOTTOM
    bars = [
        f'<rect class="column" x="{_LEFT + i * step + 1:.1f}" y="{_HEIGHT - _BOTTOM - room * n / highest:.1f}" '
        f'width="{step - 2:.1f}" height="{room * n / highest:.1f}"><title>{n}</title></rect>'
        for i, n in enumerate(counts)
    ]
    return _svg(title, [_axes(title, x_label, "items", (0.0, 1.0), (0.0, float(highest))), *bars])


def _axes(title: str, x_label: str, y_label: str, x: tuple[float, float], y: tuple[float, float]) -> str:
    bottom = _HEIGHT - _BOTTOM
    lines = (
        f'<line class="axis" x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - _RIGHT}" y2="{bottom}"/>'
        f'<line class="axis" x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{bottom}"/>'
    )
    texts = [
        (_LEFT, bottom + 14, "middle", _number(x[0])),
        (_WIDTH - _RIGHT, bottom + 14, "end", _number(x[1])),
        ((_LEFT + _WIDTH) / 2, _HEIGHT - 6, "middle", x_label),
        (_LEFT - 5, bottom, "end", _number(y[0])),
        (_LEFT - 5, _TOP + 8, "end", _number(y[1])),
        (_LEFT + 6, _TOP + 4, "start", y_label),
    ]
    return lines + "".join(
        f'<text class="tick" x="{px}" y="{py}" text-anchor="{anchor}">{escape(text)}</text>'
        for px, py, anchor, text in texts
    )


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title, quote=True)}">{"".join(body)}</svg></figure>'
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _number(value: float) -> str:
    return f"{value:.3g}"
