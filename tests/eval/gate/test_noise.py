"""The test against rerun noise: its size, its power, and what it does without any noise."""

from __future__ import annotations

import numpy as np
import pytest

from eval.gate.noise import Replicates, hard_break_chance, hard_break_p, holm, night_variance, rerun_noise_test


def _items(p: np.ndarray, m: int, k: int, seed: int, tonight: np.ndarray | None = None) -> list[Replicates]:
    generator = np.random.default_rng(seed)
    after = p if tonight is None else tonight
    starts = tuple(f"s{r % 4}" for r in range(m))
    return [
        Replicates(generator.binomial(1, a, m).astype(float), starts, generator.binomial(1, b, k).astype(float))
        for a, b in zip(p, after, strict=True)
    ]


def test_z_by_hand() -> None:
    """One item, baseline 1 0 1 0 (v = 1/3), tonight 0 0: z = 0.5 / sqrt((1/2 + 1/4) / 3) = 1."""
    item = Replicates(np.array([1.0, 0, 1, 0]), ("s",) * 4, np.array([0.0, 0.0]))
    test = rerun_noise_test([item], higher_is_better=True)
    assert test is not None
    floor = 3 / 4  # no smaller variance than that of what four replicates can miss
    assert test.z == pytest.approx(0.5 / np.sqrt(0.75 * max(1 / 3, floor)))
    assert (test.change, test.n) == (-0.5, 1)
    assert rerun_noise_test([], higher_is_better=True) is None


def test_a_lower_value_may_be_the_better_one() -> None:
    """The sign of harm follows the direction, the change does not."""
    item = Replicates(np.zeros(20), ("s",) * 20, np.ones(3))
    worse = rerun_noise_test([item], higher_is_better=False)
    better = rerun_noise_test([item], higher_is_better=True)
    assert worse is not None
    assert better is not None
    assert worse.z == -better.z > 0
    assert worse.change == better.change == 1


def test_without_any_noise_small_changes_stay_finite() -> None:
    """200 items without a disagreement: one ask of 600 is nothing, two questions lost are."""
    steady = np.ones(20)
    items = [Replicates(steady, ("s",) * 20, np.ones(3)) for _ in range(200)]
    same = rerun_noise_test(items, higher_is_better=True)
    one_ask = rerun_noise_test(
        [*items[1:], Replicates(steady, ("s",) * 20, np.array([1.0, 1.0, 0.0]))], higher_is_better=True
    )
    two_lost = rerun_noise_test(
        [*items[2:], *[Replicates(steady, ("s",) * 20, np.zeros(3))] * 2], higher_is_better=True
    )
    assert same is not None
    assert one_ask is not None
    assert two_lost is not None
    assert (same.z, same.p) == (0, 0.5)
    assert one_ask.p > 0.01
    assert two_lost.p < 1e-6


def test_false_alarms_keep_their_level_and_breaks_are_caught() -> None:
    """A third of 200 questions flaky: at .01 about 1 % of clean nights alarm; a 5-point break is always caught."""
    generator = np.random.default_rng(1)
    p = np.where(generator.random(200) < 1 / 3, generator.uniform(0.1, 0.9, 200), 1.0)
    broken = p.copy()
    broken[generator.choice(200, 14, replace=False)] = 0.0
    clean = [rerun_noise_test(_items(p, 20, 3, seed), higher_is_better=True) for seed in range(200)]
    caught = [rerun_noise_test(_items(p, 20, 3, seed, broken), higher_is_better=True) for seed in range(30)]
    assert sum(one is not None and one.p <= 0.01 for one in clean) <= 7
    assert sum(one is not None and one.p <= 0.01 for one in caught) == 30


def test_starts_that_differ_as_a_whole_are_night_variance() -> None:
    """Starts of means 0, 1, 0, 1: their variance, with nothing within; equal starts have none."""
    apart = Replicates(np.array([0.0, 0, 1, 1, 0, 0, 1, 1]), tuple("aabbccdd"), np.array([1.0]))
    assert night_variance([apart]) == pytest.approx(1 / 3)
    equal = Replicates(np.array([0.0, 1, 0, 1]), tuple("aabb"), np.array([1.0]))
    assert night_variance([equal]) == 0
    one = Replicates(np.array([0.0, 1]), ("a", "a"), np.array([1.0]))
    assert night_variance([one]) == 0


def test_holm_by_hand() -> None:
    """.01 x 3, .02 x 2, .9 x 1; monotone and at most 1."""
    assert holm([0.02, 0.9, 0.01]) == pytest.approx([0.04, 0.9, 0.03])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_chances_of_hard_breaks() -> None:
    """Alone: .5/21 x 1.5/22 x 2.5/23 = 1.8e-4 for M = 20, K = 3; less when no other item ever failed."""
    assert hard_break_chance(1, 20, 20, 3) == pytest.approx(1.765e-4, rel=1e-3)
    assert hard_break_chance(200, 0, 20, 3) < 1e-5
    assert hard_break_p(0, 100, 0.5) == 1
    assert hard_break_p(2, 500, 1.8e-4) == pytest.approx(0.004, abs=5e-4)
