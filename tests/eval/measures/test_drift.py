"""Measures of drift, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from eval.measures import (
    answer_drift,
    canary_cosine,
    domain_auc,
    mean_discrepancy,
    population_stability,
    population_stability_limit,
    rank_biased_overlap,
)


def test_answer_drift_is_beyond_the_baselines_own() -> None:
    """Unchanged answers 0, other answers 1; a baseline that disagrees with itself is no drift."""
    assert answer_drift([["a", "a"]], [["a"]]) == 0
    assert answer_drift([["a", "a"]], [["b"]]) == 1
    assert answer_drift([["a", "b"]], [["a", "b"]]) == -0.5
    assert answer_drift([["a"]], [["a"]]) is None
    assert answer_drift([], []) is None


def test_rank_biased_overlap_by_hand() -> None:
    """Equal rankings 1, disjoint 0; (a, b) against (b, a): 0 at depth 1, 1 at depth 2, so p^2 + (1 - p) p = p."""
    assert rank_biased_overlap(["a", "b", "c"], ["a", "b", "c"]) == pytest.approx(1)
    assert rank_biased_overlap(["a"], ["b"]) == 0
    assert rank_biased_overlap(["a", "b"], ["b", "a"], p=0.9) == pytest.approx(0.9)
    assert rank_biased_overlap([], ["a"]) is None


def test_mmd_tells_shifted_embeddings_from_equal_ones() -> None:
    """A shift is found; two samples of one distribution are not told apart."""
    generator = np.random.default_rng(3)
    one, other = generator.normal(size=(60, 8)), generator.normal(size=(60, 8))
    same, shifted = mean_discrepancy(one, other), mean_discrepancy(one, other + 1.0)
    assert same is not None
    assert shifted is not None
    assert same.p > 0.05
    assert shifted.p < 0.01
    assert mean_discrepancy(one[:1], other) is None


def test_mmd_by_hand() -> None:
    """Points 0, 0 against 1, 1: bandwidth 1, so 1 + 1 - 2 / e."""
    found = mean_discrepancy(np.array([[0.0], [0.0]]), np.array([[1.0], [1.0]]))
    assert found is not None
    assert found.mmd2 == pytest.approx(2 - 2 / np.e)


def test_the_canary_is_the_least_cosine() -> None:
    """One of two turned by 90 degrees."""
    before = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert canary_cosine(before, before) == pytest.approx(1)
    assert canary_cosine(before, np.array([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(0)
    assert canary_cosine(np.zeros((0, 2)), np.zeros((0, 2))) is None


def test_the_limit_of_psi_keeps_its_level() -> None:
    """.217, .087 and .043 at n = m = 200, 500 and 1000; about 1 % of pairs without drift are beyond it."""
    limits = [population_stability_limit(n, n) for n in (200, 500, 1000)]
    assert limits == pytest.approx([0.217, 0.087, 0.043], abs=5e-4)
    generator = np.random.default_rng(5)
    samples = [(generator.random(200), generator.random(200)) for _ in range(300)]
    beyond = [(population_stability(list(a), list(b)) or 0) > limits[0] for a, b in samples]
    assert sum(beyond) <= 9


def test_psi_at_the_edges() -> None:
    """Nothing to compare is unscored; a constant stays finite."""
    assert population_stability([], [1.0]) is None
    assert population_stability([1.0] * 20, [1.0] * 20) == pytest.approx(0)
    assert (population_stability([0.0] * 20, [1.0] * 20) or 0) >= 0


def test_a_classifier_tells_another_domain_and_not_the_same() -> None:
    """About 0.5 for two draws from one cloud, near 1 for clouds far apart; too few rows are unscored."""
    generator = np.random.default_rng(3)
    old, new = generator.normal(size=(120, 8)), generator.normal(size=(120, 8))
    same, other = domain_auc(old, new), domain_auc(old, new + 2)
    assert same is not None
    assert other is not None
    assert abs(same - 0.5) < 0.12
    assert other > 0.99
    assert domain_auc(old[:9], new) is None
