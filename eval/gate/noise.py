"""The test against rerun noise, the correction for many metrics, and the chance of a hard break.

The baseline holds M replicates of each item over several starts of the service; tonight's run holds K. Both answer the
same items, so what differs between items cancels out; what is left is the noise of asking again, which the baseline
shows. Two sources: asks of one start differ (variance within an item), and starts differ as a whole (night effect).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

_UNSEEN = 3.0


@dataclass(frozen=True, slots=True)
class Replicates:
    """Values of one metric for one item: float64 arrays of shape (M,) and (K,); `starts` names each baseline value's
    start of the service.

    `spread` is the variance of one of tonight's values where it is not that of the baseline's values (a statistic of
    several replicates at once).
    """

    baseline: NDArray[np.float64]
    starts: tuple[str, ...]
    tonight: NDArray[np.float64]

    @property
    def change(self) -> float:
        return float(self.tonight.mean() - self.baseline.mean())

    @property
    def variance(self) -> float:
        """Unbiased: for zeros and ones b (M - b) / (M (M - 1))."""
        return float(self.baseline.var(ddof=1))


@dataclass(frozen=True, slots=True)
class NoiseTest:
    """`change` = tonight minus baseline, the mean over items; `z` counts in the harmful direction; `p` is one-sided."""

    change: float
    z: float
    p: float
    n: int


def rerun_noise_test(
    items: Sequence[Replicates], *, higher_is_better: bool, unit: float = 1.0, extra_variance: float | None = None
) -> NoiseTest | None:
    """z = sum_i (x_i - b_i) / sqrt((1/K + 1/M) sum_i v_i + n^2 s2_night), against no harm; None without items.

    Where no baseline replicate disagrees, v_i is 0 and the test would call any change infinitely surprising. Having
    seen no disagreement in M replicates bounds the sum of v_i by 3 / M (the rule of three, 95 %), and no smaller
    variance is believed; `unit` is what one ask can change at most. Every item needs M >= 2. `extra_variance` replaces
    the sum of (1/K + 1/M) v_i for statistics that are no means. Source: EVALUATION, section 3.
    """
    if not items:
        return None
    n = len(items)
    factors = [1 / len(item.tonight) + 1 / len(item.baseline) for item in items]
    seen = sum(factor * item.variance for factor, item in zip(factors, items, strict=True))
    if extra_variance is not None:
        seen = extra_variance
    m = float(np.mean([len(item.baseline) for item in items]))
    unseen = float(np.mean(factors)) * _UNSEEN / m * unit**2
    deviation = math.sqrt(max(seen, unseen) + n**2 * night_variance(items))
    change = sum(item.change for item in items)
    harm = -change if higher_is_better else change
    z = harm / deviation
    return NoiseTest(change / n, z, float(norm.sf(z)), n)


def night_variance(items: Sequence[Replicates]) -> float:
    """Variance between starts of the mean over items, beyond what the asks within a start explain; 0 with one start.

    The variance of the starts' means less the mean of their expected rerun variances, not below 0 (method of moments).
    Only starts that asked every item count.
    """
    names = sorted({start for item in items for start in item.starts})
    places = {name: place for place, name in enumerate(names)}
    row = np.repeat(np.arange(len(items)), [len(item.baseline) for item in items])
    column = np.array([places[start] for item in items for start in item.starts])
    values = np.concatenate([item.baseline for item in items])
    counts, means, squares = _cells(row * len(names) + column, values, (len(items), len(names)))
    freedom = np.maximum(counts - 1, 0).sum(axis=1)
    within = squares.sum(axis=1) / np.maximum(freedom, 1)  # pooled over the starts; 0 where none has two values
    whole = (counts > 0).all(axis=0)
    if whole.sum() < 2:
        return 0.0
    noise = (within[:, None] / counts[:, whole]).sum(axis=0) / len(items) ** 2
    return max(0.0, float(np.var(means[:, whole].mean(axis=0), ddof=1)) - float(noise.mean()))


def _cells(
    cell: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each cell the number of its values, their mean (0 without any) and the sum of their squared deviations."""
    size = shape[0] * shape[1]
    counts = np.bincount(cell, minlength=size).astype(np.float64)
    means = np.bincount(cell, values, minlength=size) / np.maximum(counts, 1)
    squares = np.bincount(cell, np.square(values - means[cell]), minlength=size).astype(np.float64)
    return counts.reshape(shape), means.reshape(shape), squares.reshape(shape)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: the j-th smallest times (m - j + 1), made monotone, at most 1.

    Rejecting those at or below a level keeps the chance of any false rejection at that level, whatever the
    dependence. Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    m = len(p_values)
    adjusted, running = [0.0] * m, 0.0
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        running = max(running, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def hard_break_chance(stable: int, near_misses: int, replicates: int, tonight: int) -> float:
    """Chance that one stable item (success in all M replicates) fails all K asks though nothing changed.

    The smaller of two estimates: prod_{j<K} (.5 + j) / (M + 1 + j), which knows this item only (Jeffreys), and one
    whose first factor is what all items say of unseen failures, (items with one failure + 1) / (M x stable items)
    (Good and Turing).
    """
    later = math.prod((0.5 + j) / (replicates + 1 + j) for j in range(1, tonight))
    alone = 0.5 / (replicates + 1)
    pooled = (near_misses + 1) / (replicates * stable) if stable else 1.0
    return min(alone, pooled) * later


def hard_break_p(breaks: int, stable: int, chance: float) -> float:
    """P(Bin(stable, chance) >= breaks): how surprising so many breaks are."""
    return float(binom.sf(breaks - 1, stable, chance)) if breaks else 1.0
