"""The confidence's weights: around what is expected of them, never in favour of what speaks against an answer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from eval import fit_reading
from eval.fit_reading import logistic_around
from generate.reading import CONFIDENCE_FEATURES, SENTENCE_FEATURES, ReadingWeights

_VARIANCE = 0.3
EXPECTED = {"denied": -3.0, "opposites": -2.0}


def features(*, denied: float) -> tuple[NDArray[np.float64], list[bool]]:
    """Random features of 400 answers; the span tells right from wrong, and a share of right ones is `denied`."""
    draw = np.random.default_rng(3)
    rows = draw.normal(size=(400, len(CONFIDENCE_FEATURES)))
    right = rows[:, 0] + draw.normal(size=400) > 0
    rows[:, CONFIDENCE_FEATURES.index("denied")] = right * (draw.random(400) < denied)
    rows[:, CONFIDENCE_FEATURES.index("opposites")] = 0.0
    return rows, [bool(one) for one in right]


def test_without_expectations_it_is_ridge_regression() -> None:
    """As scikit-learn fits it, to the digits that are kept."""
    rows, right = features(denied=0.3)
    fitted = logistic_around({}, rows.tolist(), right)
    ridge = LogisticRegression(C=_VARIANCE, max_iter=5000, tol=1e-8).fit(rows, right)
    assert fitted["weights"] == pytest.approx(ridge.coef_[0].tolist(), abs=2e-3)
    assert fitted["intercept"] == pytest.approx(float(ridge.intercept_[0]), abs=2e-3)


def test_a_signal_that_never_occurs_keeps_its_expected_weight() -> None:
    """Nothing was seen of it."""
    rows, right = features(denied=0.0)
    weights = dict(zip(CONFIDENCE_FEATURES, logistic_around(EXPECTED, rows.tolist(), right)["weights"], strict=True))
    assert weights["opposites"] == pytest.approx(-2.0, abs=0.01)
    assert weights["span"] > 1.0


def test_what_speaks_against_an_answer_never_speaks_for_it() -> None:
    """Although the sample says so."""
    rows, right = features(denied=1.0)
    weights = dict(zip(CONFIDENCE_FEATURES, logistic_around(EXPECTED, rows.tolist(), right)["weights"], strict=True))
    free = dict(zip(CONFIDENCE_FEATURES, logistic_around({}, rows.tolist(), right)["weights"], strict=True))
    assert weights["denied"] == 0.0 < free["denied"]


def test_the_shipped_ranking_holds_against_a_sentence_what_the_confidence_does() -> None:
    """The signals that speak against an answer are the last ones; none speaks for it."""
    against = SENTENCE_FEATURES[SENTENCE_FEATURES.index("missing") :]
    assert tuple(fit_reading._EXPECTED) == against
    shipped = ReadingWeights.load(fit_reading._WEIGHTS / "reading.json")
    ranking = dict(zip(SENTENCE_FEATURES, shipped.sentence.weights, strict=True))
    confidence = dict(zip(CONFIDENCE_FEATURES, shipped.confidence.weights, strict=True))
    assert all(ranking[name] == confidence[name] <= 0 for name in against)
    assert confidence["denied"] < -1
