"""The confidence's weights: around what is expected of them, never in favour of what speaks against an answer."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from eval import fit_reading
from eval.fit_reading import Asked, few_passages, logistic_around
from eval.passage_index import Passage
from eval.public_sets import SetPart, SetQuestion
from generate.assessment import Quote
from generate.reading import CONFIDENCE_FEATURES, SENTENCE_FEATURES, Candidate, ReadingWeights
from ingest.models import Reading
from tests.generate.test_assessment import hit

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
    assert confidence["denied"] < -0.5


def question(*, gold: tuple[str, ...]) -> SetQuestion:
    """Written against the first passage of an article; with no gold passage it has no answer."""
    return SetQuestion("q", "How deep?", ("4 m",) if gold else (), bool(gold), gold, "pier-0", (), None)


PART = SetPart(
    "two articles",
    tuple(Passage(f"{name}-{n}", name, f"{name} {n}") for name in ("pier", "lock") for n in range(4)),
    (),
    {f"{name}-{n}": name for name in ("pier", "lock") for n in range(4)},
)


def collections(part: SetPart, asked: SetQuestion, *removed: str) -> list[list[Passage]]:
    """Sixty small collections for one question."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    return [few_passages(part, asked, frozenset(removed), draw) for _ in range(60)]


@pytest.mark.parametrize("gold", [("pier-0",), ()])
def test_a_small_collection_has_the_questions_own_passage_and_others_of_its_article(gold: tuple[str, ...]) -> None:
    """From that one alone up to all of the article."""
    drawn = collections(PART, question(gold=gold))
    assert {len(one) for one in drawn} == {1, 2, 3, 4}
    assert all(one[0].document_id == "pier-0" for one in drawn)
    assert all(len({p.document_id for p in one}) == len(one) for one in drawn)
    assert {p.title for one in drawn for p in one} == {"pier"}


def test_a_missing_passage_is_missing_from_a_small_collection_too() -> None:
    """Something else is there all the same."""
    drawn = collections(PART, question(gold=("pier-0",)), "pier-0")
    assert all(one and "pier-0" not in {p.document_id for p in one} for one in drawn)
    assert {len(one) for one in drawn} == {1, 2, 3}


def test_an_article_of_one_passage_is_joined_by_others_of_the_part() -> None:
    """A web search's passage stands alone."""
    alone = SetPart("one each", PART.passages, (), {p.document_id: p.document_id for p in PART.passages})
    drawn = collections(alone, question(gold=("pier-0",)))
    assert {len(one) for one in drawn} == {1, 2, 3, 4, 5}
    assert {p.title for one in drawn for p in one} == {"pier", "lock"}


def test_a_sentence_is_gold_where_the_evidence_is_if_its_place_is_known() -> None:
    """The same words elsewhere in a long document answer something else."""
    text = "The pier is 4 m deep. The lock is 4 m wide."
    found = hit(text)
    asked = replace(question(gold=(found.document_id,)), evidence_spans=((0, 21),))
    first, second = (
        Candidate(Quote(found, start, end), (), frozenset(), Reading(0.0, 0.0, ()))
        for start, end in ((0, 21), (22, 43))
    )
    placed, unplaced = Asked(asked, (found,), ()), Asked(replace(asked, evidence_spans=()), (found,), ())
    assert [placed.holds_gold(one) for one in (first, second)] == [True, False]
    assert [unplaced.holds_gold(one) for one in (first, second)] == [True, True]
