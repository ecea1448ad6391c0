"""Scoring sentences of passages, and choosing among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.settings import SHIPPED_DATA
from generate.assessment import FEATURES, AssessmentWeights, Quote, ScoredSentence, SentenceAssessor, answer_type
from generate.extractive import _choose
from generate.logistic import LogisticModel
from ingest.credibility import Credibility
from ingest.generations import GenerationSpec
from ingest.models import ModelRuntime
from retrieve import Hit, Scores
from tests.fakes import HashingEncoder

SPEC = GenerationSpec("hashing", "1", 64, 60, 12, "a", "k")


def hit(text: str, *, rank: int = 1, start: int = 0, version_pk: int = 1) -> Hit:
    return Hit(
        rank=rank, chunk_id="1", document_id="d", document_pk=1, version=1, version_pk=version_pk, title=None,
        page=None, heading=None, char_start=start, char_end=start + len(text), text=text, score=1 / rank,
        scores=Scores(0.5, 1.0, 1.0, None, 0.5), language="en", document_date=None, credibility=Credibility(),
    )  # fmt: skip


@pytest.fixture
def assessor() -> Iterator[SentenceAssessor]:
    runtime = ModelRuntime()
    encoder = HashingEncoder()
    weights = AssessmentWeights.load(SHIPPED_DATA / "models" / "extractive.json")
    yield SentenceAssessor(runtime, lambda spec: encoder, weights, timeout_s=30)
    runtime.close()


def test_the_sentence_that_answers_scores_best(assessor: SentenceAssessor) -> None:
    """Among sentences of one passage."""
    passage = hit("The harbour is deep. The lighthouse was built in 1871. Seals rest on the rocks near it.", start=100)
    best = assessor.assess("When was the lighthouse built?", [passage], SPEC).sentences[0].quote
    assert best.text == "The lighthouse was built in 1871."
    assert (best.start, best.end) == (121, 154)


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("# A heading about wind\n\nThe wind limit is 34 knots.", ["The wind limit is 34 knots."]),
        ("| Vessel | Limit |\n|---|---|\n| MV Fulmar | 34 knots |", ["| Vessel | Limit |", "| MV Fulmar | 34 knots |"]),
        ("No. Yes.", []),
    ],
)
def test_headings_rules_and_crumbs_are_no_answers(assessor: SentenceAssessor, text: str, candidates: list[str]) -> None:
    """A sentence has at least three different terms."""
    rows = assessor.feature_rows("What is the wind limit?", [hit(text)], SPEC)
    assert [quote.text for quote, _ in rows if len(quote.text) > 20] == [text for text in candidates if len(text) > 20]


@pytest.mark.parametrize(
    ("question", "text", "marked", "fits"),
    [
        ("How long is the code valid?", "The code expires after fifteen minutes.", False, 1.0),
        ("How long is the pier?", "It has 120 m.", False, 1.0),
        ("How long is parental leave?", "half a year", True, 1.0),
        ("How long is the pier?", "It is old.", False, -1.0),
        ("押金要等多久？", "三个月内退还。", False, 1.0),
        ("When is support open?", "8 o'clock to noon on weekdays", True, 1.0),
        ("By when must receipts be handed in?", "within 30 days", True, 1.0),
        ("When is support open?", "in the cellar", True, -1.0),
        ("How many boats are there?", "Fifteen boats.", False, 1.0),
        ("Where is the token kept?", "Keychain", True, 1.0),
        ("Where is the token kept?", "Keychain keeps it.", False, -1.0),
        ("Who decides?", "The master", True, -1.0),
        ("Why is it closed?", "rain", True, 0.0),
    ],
)
def test_the_kind_of_thing_asked_for(question: str, text: str, marked: bool, fits: float) -> None:
    """A capital at the begin of a sentence makes no name, at that of a short answer it does."""
    assert answer_type(question, text, marked=marked) == fits


def test_a_passage_that_begins_inside_a_sentence_does_not_offer_its_first_half(assessor: SentenceAssessor) -> None:
    """Half a sentence is not quoted."""
    rows = assessor.feature_rows(
        "What limit?", [hit("which is the lower limit now. The upper limit is 34 knots.", start=50)], SPEC
    )
    assert [quote.text for quote, _ in rows] == ["The upper limit is 34 knots."]


def test_a_very_long_sentence_is_cut_to_the_clauses_that_match(assessor: SentenceAssessor) -> None:
    """The quote stays one verbatim span of at most 60 tokens, and holds what was asked for."""
    filler = ", ".join(f"item {number} costs {number} pounds" for number in range(60))
    text = f"The tariff lists that {filler}, a night at the Tolm pontoon costs 26 pounds, {filler}."
    best = assessor.assess("What does a night at the Tolm pontoon cost?", [hit(text)], SPEC).sentences[0].quote
    assert "a night at the Tolm pontoon costs 26 pounds" in best.text
    assert best.text == text[best.start : best.end]
    assert len(HashingEncoder().token_spans([best.text])[0]) <= 60


def test_overlapping_passages_offer_a_sentence_once(assessor: SentenceAssessor) -> None:
    """The same span of the same version."""
    text = "The lighthouse was built in 1871."
    rows = assessor.feature_rows("When was it built?", [hit(text, start=10), hit(text, rank=2, start=10)], SPEC)
    assert len(rows) == 1


def test_no_passages_no_confidence(assessor: SentenceAssessor) -> None:
    """Nothing to answer from."""
    assert assessor.assess("Anything?", [], SPEC).confidence == 0.0


def test_a_second_sentence_joins_only_when_nearly_as_good_and_different() -> None:
    """Scores 0.9, 0.85 (same text), 0.84, 0.5: the first and the third."""
    text = "One limit is 34 knots. Another limit is 38 knots. A third thing."
    passage = hit(text)
    first, third = Quote(passage, 0, 22), Quote(passage, 23, 49)
    scored = (
        ScoredSentence(first, 0.9),
        ScoredSentence(first, 0.85),
        ScoredSentence(third, 0.84),
        ScoredSentence(Quote(passage, 50, 64), 0.5),
    )
    assert [one.quote.text for one in _choose(scored)] == ["One limit is 34 knots.", "Another limit is 38 knots."]
    assert len(_choose(tuple(replace(one, score=one.score / (1 + 9 * place)) for place, one in enumerate(scored)))) == 1


def test_the_logistic_model_is_the_logistic_function() -> None:
    """0.5 at z = 0, and no overflow far out."""
    model = LogisticModel((1.0,), -2.0)
    assert model.probability([2.0]) == 0.5
    assert model.probability([1e6]) == pytest.approx(1.0)
    assert model.probability([-1e6]) == pytest.approx(0.0)


def test_weights_fitted_on_other_features_are_refused(tmp_path: Path) -> None:
    """A stale file must not be read as if it fitted."""
    path = tmp_path / "weights.json"
    path.write_text((SHIPPED_DATA / "models" / "extractive.json").read_text().replace(FEATURES[0], "other", 1))
    with pytest.raises(ValueError, match="fit it again"):
        AssessmentWeights.load(path)
