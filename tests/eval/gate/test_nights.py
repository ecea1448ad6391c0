"""Slow drift over nights."""

from __future__ import annotations

import numpy as np
import pytest

from eval.gate.nights import slow_drift, standard_error_of_starts


def test_a_steady_system_is_not_accused_however_often_one_looks() -> None:
    """200 histories of 60 nights as good as the bound: at level .05 at most 5 % ever alarm."""
    generator = np.random.default_rng(2)
    alarms = 0
    for _ in range(200):
        nights = generator.binomial(200, 0.7, 60) / 200
        drift = slow_drift(list(nights), baseline=0.7, standard_error=0.0, level=0.05)
        alarms += max(drift.stakes) >= 20
    assert alarms <= 10


def test_a_slow_decay_is_caught() -> None:
    """Two tenths of a point a night, which no single night shows."""
    nights = [0.8 - 0.002 * night for night in range(60)]
    drift = slow_drift(nights, baseline=0.8, standard_error=0.005, level=0.01)
    assert drift.alarm
    assert drift.bound == pytest.approx(0.8 - 0.008225)


def test_edges() -> None:
    """No night is no alarm; a perfect baseline and a total loss are finite."""
    assert not slow_drift([], baseline=0.5, standard_error=0.0, level=0.01).alarm
    lost = slow_drift([0.0] * 3, baseline=1.0, standard_error=0.0, level=0.01)
    assert lost.alarm
    assert np.isfinite(lost.stakes).all()
    assert standard_error_of_starts([0.5]) == 0
    assert standard_error_of_starts([0.4, 0.6]) == pytest.approx(0.1)
