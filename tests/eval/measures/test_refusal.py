"""Measures of refusing, by hand and against scikit-learn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from eval.measures import (
    RiskPoint,
    answer_rate_at_risk,
    augrc,
    aurc,
    excess_aurc,
    refusal_rates,
    risk_coverage_curve,
    selective_risk,
)


def test_refusal_rates_by_hand() -> None:
    """Two unanswerable (refused, answered), three answerable (refused with evidence, refused without, an error)."""
    decisions = ["refuse", "answer", "refuse", "refuse", "error"]
    rates = refusal_rates(decisions, [False, False, True, True, True], [None, None, True, False, True])
    assert (rates.precision, rates.recall, rates.false_answer_rate) == (pytest.approx(1 / 3), 0.5, 0.5)
    assert rates.f1 == pytest.approx(0.4)
    assert rates.over_refusal_rate == pytest.approx(2 / 3)
    assert (rates.over_refusal_with_evidence, rates.over_refusal_without_evidence) == (0.5, 1.0)


def test_refusal_rates_are_unscored_where_nothing_is_counted() -> None:
    """No unanswerable question; none at all."""
    rates = refusal_rates(["answer"], [True], [True])
    assert (rates.precision, rates.recall, rates.f1, rates.false_answer_rate) == (None, None, None, None)
    assert rates.over_refusal_rate == 0
    assert refusal_rates([], [], []).over_refusal_rate is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_refusal_precision_and_recall_are_those_of_scikit_learn(rows: list[tuple[bool, bool]]) -> None:
    """The positive class is that the question should be refused."""
    refused, unanswerable = [row[0] for row in rows], [row[1] for row in rows]
    decisions = ["refuse" if one else "answer" for one in refused]
    rates = refusal_rates(decisions, [not one for one in unanswerable], [None] * len(rows))
    p, r, _, _ = precision_recall_fscore_support(unanswerable, refused, average="binary", zero_division=0)
    assert (rates.precision or 0.0, rates.recall or 0.0) == (pytest.approx(p), pytest.approx(r))


def test_selective_risk_is_undefined_at_zero_answers() -> None:
    """One of two answers is wrong."""
    assert selective_risk([True, True, False], [True, False, True]) == 0.5
    assert selective_risk([False], [True]) is None


def test_the_curve_and_its_areas_by_hand() -> None:
    """Losses 0, 1, 0 by falling confidence: AURC = (0 + 1/2 + 1/3) / 3, AUGRC = (0 + 1 + 1) / 9."""
    confidence, wrong = [0.9, 0.5, 0.7], [False, False, True]
    assert risk_coverage_curve(confidence, wrong) == [
        RiskPoint(0.9, pytest.approx(1 / 3), 0.0),
        RiskPoint(0.7, pytest.approx(2 / 3), 0.5),
        RiskPoint(0.5, 1.0, pytest.approx(1 / 3)),
    ]
    assert aurc(confidence, wrong) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert augrc(confidence, wrong) == pytest.approx(2 / 9)
    rate = 1 / 3
    assert excess_aurc(confidence, wrong) == pytest.approx(5 / 18 - (rate + (1 - rate) * math.log(1 - rate)))
    assert answer_rate_at_risk(confidence, wrong, 0.4) == 1.0
    assert answer_rate_at_risk(confidence, wrong, 0.1) == pytest.approx(1 / 3)


def test_ties_count_as_their_mean() -> None:
    """Two equal confidences, one wrong: the order does not matter."""
    assert aurc([0.5, 0.5], [True, False]) == aurc([0.5, 0.5], [False, True]) == 0.5
    assert augrc([0.5, 0.5], [True, False]) == pytest.approx((0.5 + 1) / 4)


def test_areas_at_the_edges() -> None:
    """Nothing asked is unscored; everything wrong is 1 and 0.5 (1 + 1/n)."""
    assert (aurc([], []), augrc([], []), excess_aurc([], [])) == (None, None, None)
    assert aurc([0.1, 0.2], [True, True]) == 1
    assert augrc([0.1, 0.2], [True, True]) == 0.75
    assert excess_aurc([0.1, 0.2], [True, True]) == 0
    assert answer_rate_at_risk([0.1], [True], 0.5) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_areas_stay_in_range(rows: list[tuple[float, bool]]) -> None:
    """Whatever the confidences."""
    confidence, wrong = [row[0] for row in rows], [row[1] for row in rows]
    assert 0 <= (aurc(confidence, wrong) or 0) <= 1 + 1e-12
    assert 0 <= (augrc(confidence, wrong) or 0) <= 0.5 * (1 + 1 / len(rows)) + 1e-12
