"""Measures of rankings question by question, and differences with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench.ranking_measures import mean_difference, measure_rankings, paired_difference
from eval.retrieval_sets import Passage, RetrievalQuestion, RetrievalSet

SET = RetrievalSet(
    "made",
    tuple(Passage(name, "", name) for name in "abc"),
    (
        RetrievalQuestion("1", "first", {"a": 1}),
        RetrievalQuestion("2", "second", {"b": 1, "c": 1}),
        RetrievalQuestion("3", "third", {"c": 1}),
    ),
)


def test_measures_keep_the_order_of_the_questions_and_count_missing_ones_as_nothing() -> None:
    """Found second, found first and half of it, not asked."""
    values = measure_rankings(SET, {"2": ["b"], "1": ["b", "a"]})
    assert values["RR@10"].tolist() == [0.5, 1.0, 0.0]
    assert values["R@10"].tolist() == [1.0, 0.5, 0.0]
    assert values["nDCG@10"][0] == pytest.approx(1 / np.log2(3))


def test_difference_is_paired() -> None:
    """A gain of .1 on every question is sure, however much the questions differ."""
    before = np.random.default_rng(0).random(200)
    found = paired_difference(before + 0.1, before)
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_mean_difference_counts_every_set_the_same() -> None:
    """Three questions of one set weigh as much as three hundred of another."""
    pairs = [(np.ones(3), np.zeros(3)), (np.zeros(300), np.zeros(300))]
    assert mean_difference(pairs).mean == 0.5
