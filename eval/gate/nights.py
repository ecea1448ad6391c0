"""Slow drift: a bet against the baseline that may be looked at every night.

Each night's drop multiplies a stake; if the system is as good as the baseline, the stake does not grow on average,
whenever one stops to look, so a stake of 1 / level refutes it (Ville's inequality). Source: Waudby-Smith and Ramdas,
JRSS B 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
_ONE_SIDED_95 = 1.645


@dataclass(frozen=True, slots=True)
class SlowDrift:
    """The stake after each night; `alarm` when the last one has reached 1 / level. `bound` is what the nights are
    held to.
    """

    bound: float
    stakes: tuple[float, ...]
    alarm: bool


def slow_drift(nights: Sequence[float], *, baseline: float, standard_error: float, level: float) -> SlowDrift:
    """E_t = mean over stakes lambda of prod_{s<=t} (1 + lambda d_s), d_s = bound - night s, all values in [0, 1].

    `bound` is the baseline's lower 95 % bound, so that an unlucky high baseline is not held against the system. The
    lambdas are shares of 1 / (1 - bound), the greatest with which no factor is negative; a mixture needs no tuning.
    """
    bound = max(0.0, baseline - _ONE_SIDED_95 * standard_error)
    greatest = 1 / max(1 - bound, 1e-6)
    drops = bound - np.array(nights, dtype=np.float64)
    factors = 1 + np.outer(np.array(_SHARES) * greatest, drops)
    stakes = np.cumprod(factors, axis=1).mean(axis=0)
    return SlowDrift(bound, tuple(float(stake) for stake in stakes), bool(len(stakes) and stakes[-1] >= 1 / level))


def standard_error_of_starts(means: Sequence[float]) -> float:
    """Of the mean over starts of the service: sd / sqrt(starts); 0 with one start."""
    return float(np.std(means, ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else 0.0
