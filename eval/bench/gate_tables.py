"""The report of the gate's bench as Markdown: `python -m eval.bench.gate_tables REPORT.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

_SYSTEMS = {0.0: "embedded", 1.0: "drawn"}


def plants_table(plants: Sequence[Mapping[str, Any]]) -> str:
    """Every plant whole: its true harm to task success and to the declared metric it harms most, in points."""
    rows = []
    for name in dict.fromkeys(plant["plant"] for plant in plants):
        embedded, drawn = (_whole(plants, name, temperature) for temperature in _SYSTEMS)
        rows.append(
            [
                name,
                *(f"{100 * one['effect']:.1f}" for one in (embedded, drawn)),
                f"{100 * drawn['greatest']:.1f} ({drawn['greatest_on']})",
                *(f"{one['caught']:.0%}" for one in (embedded, drawn)),
                _most(drawn["blamed"]),
                _most(drawn["stages"]),
            ]
        )
    head = ["plant", "effect", "effect, drawn", "greatest, drawn", "caught", "caught, drawn", "blamed", "stage"]
    return _table(head, rows)


def curve_table(plants: Sequence[Mapping[str, Any]]) -> str:
    """Share of caught cases over all plants that are strong enough, by dose; blame among the caught."""
    rows = []
    for dose in sorted({plant["dose"] for plant in plants if plant["dose"] is not None}):
        row = [f"{100 * dose:.0f}"]
        for temperature in _SYSTEMS:
            dosed = [p for p in plants if p["dose"] == dose and p["temperature"] == temperature]
            worst = min(dosed, key=lambda one: one["caught"], default=None)
            caught = sum(p["caught"] * p["seeds"] for p in dosed) / max(sum(p["seeds"] for p in dosed), 1)
            row += [str(len(dosed)), f"{caught:.0%}", f"{worst['caught']:.0%} ({worst['plant']})" if worst else "-"]
        rows.append(row)
    head = ["true effect", *(f"{what}{name}" for name in ("", ", drawn") for what in ("plants", "caught", "least"))]
    return _table(head, rows)


def blame(plants: Iterable[Mapping[str, Any]], key: str) -> float:
    """Mean share of right blame over plants and doses that were caught."""
    return fmean(plant[key] for plant in plants if plant[key] is not None)


def _whole(plants: Sequence[Mapping[str, Any]], name: str, temperature: float) -> Mapping[str, Any]:
    return next(p for p in plants if (p["plant"], p["temperature"], p["dose"]) == (name, temperature, None))


def _most(counts: Mapping[str, int]) -> str:
    return max(counts, key=lambda name: counts[name]) if counts else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    plants = report.pop("plants")
    for temperature, name in _SYSTEMS.items():
        own = [plant for plant in plants if plant["temperature"] == temperature]
        report[f"blame, {name}"] = {key: round(blame(own, key), 3) for key in ("metric_right", "stage_right")}
    parts = [plants_table(plants), curve_table(plants), json.dumps(report, indent=1)]
    sys.stdout.write("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
