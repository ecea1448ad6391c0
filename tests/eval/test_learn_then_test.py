"""The promise about refusals, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from eval.learn_then_test import Labelled, answers_needed, calibrate


def draw(n: int, seed: int) -> list[Labelled]:
    """Confidences uniform; wrong with probability (1 - confidence)^2: 33 % errors in all."""
    generator = np.random.default_rng(seed)
    scores = generator.random(n)
    wrong = generator.random(n) < (1 - scores) ** 2
    return [Labelled(float(s), bool(w), f"c{i}") for i, (s, w) in enumerate(zip(scores, wrong, strict=True))]


def true_risk(threshold: float) -> float:
    """Mean of (1 - s)^2 over s >= threshold."""
    return (1 - threshold) ** 2 / 3


def test_the_promise_holds_as_often_as_it_says() -> None:
    """Risk 10 %, confidence 90 %: at most a tenth of 200 calibrations is violated; most answer more than nothing."""
    promises = [calibrate(draw(1000, seed), risk=0.1, delta=0.1, seed=seed) for seed in range(200)]
    given = [promise.threshold for promise in promises if promise.threshold is not None]
    assert len(given) >= 190
    assert sum(true_risk(threshold) > 0.1 for threshold in given) <= 20
    assert np.mean([promise.answer_rate for promise in promises]) > 0.4  # the best possible is 0.55


def test_too_few_labels_promise_nothing() -> None:
    """20 items: no sequence of answers is long enough to prove 10 %."""
    promise = calibrate(draw(20, 1), risk=0.1, delta=0.1, seed=0)
    assert (promise.threshold, promise.n, promise.answer_rate, promise.bound) == (None, 0, 0.0, 1.0)
    assert promise.needed == answers_needed(0.1, 0.1) == 22
    assert calibrate([], risk=0.1, delta=0.1, seed=0).threshold is None


def test_the_table_of_answers_needed() -> None:
    """Without an error: 22 at 10 %, 45 at 5 %, 114 at 2 %, 230 at 1 %."""
    assert [answers_needed(risk, 0.1) for risk in (0.1, 0.05, 0.02, 0.01)] == [22, 45, 114, 230]


def test_a_cluster_counts_once() -> None:
    """500 copies of one question are one label."""
    items = [Labelled(0.9, False, "one")] * 500
    assert calibrate(items, risk=0.1, delta=0.1, seed=0).threshold is None


def test_clusters_of_many_items_hold_their_promise() -> None:
    """190 clusters of ten questions whose errors are half decided by the cluster: at most a tenth of 100 is violated,
    and more is answered than with one question drawn of each cluster beforehand.
    """
    violations, rates, single = 0, [], []
    for seed in range(100):
        items = clustered_draw(seed)
        promise = calibrate(items, risk=0.1, delta=0.1, seed=seed)
        violations += promise.threshold is not None and true_risk(promise.threshold) > 0.1
        rates.append(promise.answer_rate)
        single.append(calibrate(items[::10], risk=0.1, delta=0.1, seed=seed).answer_rate)
    assert violations <= 10
    assert np.mean(rates) > 1.1 * np.mean(single)


def clustered_draw(seed: int) -> list[Labelled]:
    generator = np.random.default_rng(seed)
    scores = generator.random((190, 10))
    shared, own = np.repeat(generator.random((190, 1)), 10, axis=1), generator.random((190, 10))
    luck = np.where(generator.random((190, 10)) < 0.5, shared, own)
    rows = zip(scores.ravel(), (luck < (1 - scores) ** 2).ravel(), strict=True)
    return [Labelled(float(s), bool(w), f"c{i // 10}") for i, (s, w) in enumerate(rows)]


def test_all_right_answers_everything_all_wrong_nothing() -> None:
    """At the edges of the risk."""
    right = [Labelled(i / 100, False, f"c{i}") for i in range(100)]
    promise = calibrate(right, risk=0.1, delta=0.1, seed=0)
    assert promise.threshold is not None
    assert (promise.errors, promise.answer_rate) == (0, pytest.approx(1, abs=0.1))
    assert promise.bound == pytest.approx(1 - 0.1 ** (1 / promise.n))
    wrong = [Labelled(i / 100, True, f"c{i}") for i in range(100)]
    assert calibrate(wrong, risk=0.1, delta=0.1, seed=0).threshold is None


def test_the_draw_is_frozen_by_its_seed() -> None:
    """The same labels and seed give the same promise."""
    items = draw(300, 4)
    assert calibrate(items, risk=0.1, delta=0.1, seed=3) == calibrate(items, risk=0.1, delta=0.1, seed=3)
