"""How large a planted regression is, and how to plant less of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Set

from eval.bench.gate_plants import Plant
from eval.bench.gate_play import expected, level
from eval.bench.observed import Observed, System

MAGNITUDES = ("task_success", "false_answer_rate", "retrieval_coverage", "evidence_rate", "error_rate")
"""Declared metrics whose expectation is known exactly."""

_HIGHER_IS_BETTER = frozenset({"task_success", "retrieval_coverage", "evidence_rate"})


def dosed(
    base: Mapping[str, Observed], plant: Plant, system: System, temperature: float, dose: float | None, seed: int
) -> tuple[frozenset[str], float]:
    """The questions that the plant is to hold for, and its true effect then.

    They are taken in random order, those that it harms, until the effect reaches the dose; without a dose, all that the
    plant hits.
    """
    order = sorted(base)
    random.Random(seed).shuffle(order)  # noqa: S311 - not a secret
    order = order[: round(plant.share * len(order))]
    if dose is not None:
        order = _up_to(dose, order, base, plant, system, temperature)
    chosen = frozenset(order)
    return chosen, harm(base, plant, system, plant.effect_on, chosen, temperature)


def harm(
    base: Mapping[str, Observed],
    plant: Plant,
    system: System,
    metric: str,
    chosen: Set[str],
    temperature: float,
) -> float:
    """The exact change of a rate for the worse, where the plant holds for the chosen questions; 0 where nothing is left
    to count.
    """
    before = [expected(one, metric, temperature) for one in base.values()]
    after = [
        expected(system.observed[key], metric, temperature, plant.errors)
        if key in chosen
        else expected(one, metric, temperature)
        for key, one in base.items()
    ]
    if not any(one is not None and one[1] > 0 for one in after):
        return 0.0
    return _worse(metric, level(after) - level(before))


def _up_to(
    dose: float,
    order: list[str],
    base: Mapping[str, Observed],
    plant: Plant,
    system: System,
    temperature: float,
) -> list[str]:
    before = {key: expected(one, plant.effect_on, temperature) for key, one in base.items()}
    counted = sum(one is not None for one in before.values())
    total, taken = 0.0, list[str]()
    for key in order:
        was, now = before[key], expected(system.observed[key], plant.effect_on, temperature, plant.errors)
        own = 0.0 if was is None or now is None else _worse(plant.effect_on, now[0] - was[0])
        if own > 0 and total < dose * counted:
            total += own
            taken.append(key)
    return taken


def _worse(metric: str, change: float) -> float:
    return -change if metric in _HIGHER_IS_BETTER else change
