"""The metrics that may block, declared beforehand, and their values replicate by replicate.

An item is one phrasing of one question. All other metrics are advisory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eval.gate.noise import NoiseTest, Replicates, rerun_noise_test
from eval.measures import pair_agreement
from eval.rows import EvaluationRow
from eval.summary import RATES, Item, Ratio

Kind = Literal["mean", "ratio", "agreement"]
ItemKey = tuple[str, int]
_SUBSETS = 40
_FLIP_UNIT = 2.0
"""One deviating ask of K moves pair agreement by 2 / K, a mean by 1 / K."""


@dataclass(frozen=True, slots=True)
class GateMetric:
    """A declared metric: how its values are made, which direction is good, and which stage it speaks of."""

    name: str
    higher_is_better: bool
    kind: Kind


GATE_METRICS: tuple[GateMetric, ...] = (
    GateMetric("error_rate", False, "mean"),
    GateMetric("retrieval_coverage", True, "mean"),
    GateMetric("evidence_rate", True, "ratio"),
    GateMetric("false_answer_rate", False, "mean"),
    GateMetric("answer_stability", True, "agreement"),
    GateMetric("task_success", True, "mean"),
)
"""In the order in which a regression is blamed: causes before their effects."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One metric's comparison: both levels, the test, and each item's change with its cluster."""

    metric: GateMetric
    baseline: float
    value: float
    test: NoiseTest
    changes: tuple[tuple[str, float], ...]


def test_metric(metric: GateMetric, baseline: Mapping[ItemKey, Item], tonight: Mapping[ItemKey, Item]) -> Tested | None:
    """The comparison over the items that both sides scored; None where there is none."""
    shared = [(baseline[key], tonight[key]) for key in tonight if key in baseline]
    if metric.kind == "agreement":
        return _agreement(metric, shared)
    part = RATES[metric.name]
    if metric.kind == "ratio":
        return _ratio(metric, shared, part)
    pairs = [(old, _replicates(old, new, lambda row: _mean_value(part(row)))) for old, new in shared]
    return _tested(metric, [(old.cluster, item) for old, item in pairs if item is not None])


def _tested(
    metric: GateMetric,
    items: Sequence[tuple[str, Replicates]],
    *,
    levels: tuple[float, float] | None = None,
    unit: float = 1.0,
    extra_variance: float | None = None,
) -> Tested | None:
    test = rerun_noise_test(
        [item for _, item in items],
        higher_is_better=metric.higher_is_better,
        unit=unit,
        extra_variance=extra_variance,
    )
    if test is None:
        return None
    if levels is None:
        before = float(np.mean([item.baseline.mean() for _, item in items]))
        levels = before, before + test.change
    return Tested(metric, *levels, test, tuple((cluster, item.change) for cluster, item in items))


def _ratio(
    metric: GateMetric, shared: Sequence[tuple[Item, Item]], part: Callable[[EvaluationRow], Ratio]
) -> Tested | None:
    """A rate whose denominator varies too (answers given), made a mean: (numerator - R x denominator) / mean
    denominator, R the baseline's rate. Its change is about the change of the rate (the delta method).
    """
    before, after = _totals([old for old, _ in shared], part), _totals([new for _, new in shared], part)
    if before[1] == 0 or after[1] == 0:
        return None
    rate = before[0] / before[1]
    share = before[1] / sum(len(old.rows) for old, _ in shared)

    def value(row: EvaluationRow) -> float:
        found = part(row)
        return 0.0 if found is None else (found[0] - rate * found[1]) / share

    pairs = [(old, _replicates(old, new, value)) for old, new in shared]
    items = [(old.cluster, item) for old, item in pairs if item is not None]
    return _tested(metric, items, levels=(rate, after[0] / after[1]), unit=1 / share)


def _agreement(metric: GateMetric, shared: Sequence[tuple[Item, Item]]) -> Tested | None:
    """Pair agreement of tonight's K answers against that of the baseline's M; its noise is that of agreement among K
    of the baseline's answers, drawn without putting back.
    """
    generator = np.random.default_rng(0)
    items, variance = [], 0.0
    for old, new in shared:
        labels, fresh = old.meanings, new.meanings
        before, after = pair_agreement(labels), pair_agreement(fresh)
        if before is None or after is None:
            continue
        k, m = len(fresh), len(labels)
        if len(set(labels)) > 1:
            variance += _agreement_variance(labels, min(k, m - 1), generator) * (1 + k / m)
        value = np.full(2, before)
        items.append((old.cluster, Replicates(value, ("", ""), np.array([after]))))
    sizes = [len(old.rows) for old, _ in shared] or [2]
    unseen = _FLIP_UNIT**2 * 3 / min(sizes) / max(min(len(new.rows) for _, new in shared), 1) if shared else 0.0
    return _tested(metric, items, extra_variance=max(variance, unseen))


def _agreement_variance(labels: Sequence[int], size: int, generator: np.random.Generator) -> float:
    """Of the pair agreement among `size` of the labels, over random subsets."""
    drawn = generator.permuted(np.tile(labels, (_SUBSETS, 1)), axis=1)[:, :size]
    same = drawn[:, :, None] == drawn[:, None, :]
    agreement = (same.sum(axis=(1, 2)) - size) / (size * (size - 1))
    return float(np.var(agreement, ddof=1))


def _replicates(old: Item, new: Item, value: Callable[[EvaluationRow], float | None]) -> Replicates | None:
    """Values of both sides, without unscored asks; None below two baseline values or without any of tonight."""
    kept = [(row.process, found) for row in old.rows if (found := value(row)) is not None]
    fresh = [found for row in new.rows if (found := value(row)) is not None]
    if len(kept) < 2 or not fresh:
        return None
    return Replicates(_array([found for _, found in kept]), tuple(process for process, _ in kept), _array(fresh))


def _totals(items: Sequence[Item], part: Callable[[EvaluationRow], Ratio]) -> tuple[float, float]:
    parts = [found for item in items for row in item.rows if (found := part(row)) is not None]
    return sum(one[0] for one in parts), sum(one[1] for one in parts)


def _mean_value(ratio: Ratio) -> float | None:
    return None if ratio is None else ratio[0] / ratio[1]


def _array(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)
