"""The bench of the gate on what was observed: `python -m eval.bench.gate_measure --work DIR`.

`make bench-gate` makes the observations first. Results are kept as they come, in `results.jsonl`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.progress import track

from eval.bench.gate import Bench
from eval.bench.gate_plants import Plant, plants
from eval.bench.gate_play import TEMPERATURE
from eval.bench.kept import KeptResults
from eval.normalise import answer_tokens

_PROGRESS = Console(stderr=True)
_DOSES: Mapping[float | None, int] = {None: 1, 0.01: 4, 0.02: 4, 0.03: 1, 0.05: 1, 0.08: 4}
"""Doses, each with the divisor of its number of seeds: those that the promise is about have all of them."""

_INTERVAL_RESAMPLES = 10
"""Intervals are for reports; no verdict rests on them."""


def _seeds(seeds: int, temperature: float, dose: float | None) -> int:
    """The embedded system draws nothing: a whole plant is one case, and doses differ by their questions only."""
    if temperature == 0:
        return 1 if dose is None else max(seeds // 4, 1)
    return max(seeds // _DOSES[dose], 1)


def measure(work: Path, *, seeds: int, comparisons: int) -> dict[str, Any]:
    """Clean comparisons, and all plants that were observed, whole and in doses, on both systems."""
    bench = Bench(work)
    wanted = list(product(filter(bench.has, plants()), (0.0, TEMPERATURE), _DOSES))
    tokens = cache(answer_tokens)  # the same answers are compared again and again
    with (
        patch("eval.summary._RESAMPLES", _INTERVAL_RESAMPLES),
        patch("eval.measures.stability.answer_tokens", tokens),
    ):
        kept = KeptResults(work / "results.jsonl")
        scores = [
            kept.get(
                [plant.name, heat, dose, count := _seeds(seeds, heat, dose)],
                partial(_score_json, bench, plant, heat, dose, count),
            )
            for plant, heat, dose in track(wanted, "plants", console=_PROGRESS)
        ]
        clean = {
            name: kept.get(["clean", heat, comparisons], partial(bench.clean, heat, comparisons))
            for name, heat in (("embedded", 0.0), ("drawn", TEMPERATURE))
        }
    return {
        "questions": len(bench.base),
        "not observed": [plant.name for plant in plants() if not bench.has(plant)],
        "noise": bench.noise(TEMPERATURE),
        "starts": bench.starts_agree(),
        "live": bench.live(),
        "clean": clean,
        "plants": [one for one in scores if one is not None],
    }


def _score_json(
    bench: Bench, plant: Plant, temperature: float, dose: float | None, seeds: int
) -> dict[str, Any] | None:
    score = bench.measure(plant, temperature, dose, seeds)
    return None if score is None else asdict(score)


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge planted regressions on what was observed.")
    parser.add_argument("--work", type=Path, default=Path(".bench/gate"), help="folder of what was observed")
    parser.add_argument("--seeds", type=int, default=20, help="draws a plant and dose")
    parser.add_argument("--comparisons", type=int, default=60, help="comparisons of the system with itself")
    arguments = parser.parse_args()
    report = measure(arguments.work, seeds=arguments.seeds, comparisons=arguments.comparisons)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
