"""Fits the weights of the reader's assessment: `python -m eval.fit_reading --data DIR --out FILE`.

Questions of the `choose` parts, which the reading model was not trained on, over their passages and (as distractors)
passages of the `train` parts, and questions of our own over product documentation and encyclopedia paragraphs, worded
as people ask who have not read them (`eval.written_sets`); a third of the gold documents are left out, so that evidence
is missing as a service meets it. Each question about paragraphs is asked once more over one to five of them, as of
somebody with a single short document, and each about documentation with all pages in place. The
confidence is fitted on the answers to each half of the questions, as given by a ranking of sentences that was fitted on
the other half; the shipped ranking is fitted on both. Logistic regressions; deterministic for a seed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from eval.measures import contains_answer, is_correct_answer
from eval.passage_index import Passage, PassageIndex
from eval.public_sets import SetPart, SetQuestion, load_part
from eval.written_sets import ENCYCLOPEDIA_CHOOSE, MANUALS_CHOOSE, load_written
from generate.assessment import AssessmentWeights, SentenceAssessor
from generate.logistic import LogisticModel
from generate.reader import asks_several, choose
from generate.reading import (
    CONFIDENCE_FEATURES,
    SENTENCE_FEATURES,
    Candidate,
    ReadingAssessor,
    ReadingWeights,
    confidence_features,
    scored_sentence,
)
from generate.settings import GenerateSettings
from ingest.models import Encoder, JointReader, ModelRuntime, SentenceTransformerEncoder
from retrieve import Hit, ReadingReranker, RetrieveSettings
from retrieve.merging import merge_neighbours

SETS = {"squad2_dev_a": 500, "qed_nq_train": 300, "fairytaleqa_train": 300}
"""With how many questions of each, at most: SQuAD's are the only ones written to look answerable where they are not."""

REMOVED_SHARE = 1 / 3
_DISTRACTORS = 600
_FEW = 5
"""Passages of a small collection, at most."""

_EXPECTED = {
    "missing": -1.0,
    "missing_nearby": -1.0,
    "unknown_names": -1.0,
    "other_names": -1.0,
    "other_figures": -1.0,
    "denied": -3.0,
    "denying": 0.0,
    "opposites": -2.0,
}
"""Weights of what speaks against an answer as one would guess them, where the questions at hand say nothing: most of
these signals are rare. None may end up speaking for an answer. They are the last of `SENTENCE_FEATURES`, in that order.
"""

_VARIANCE = 0.3
"""Of each weight around its expected value, or around 0."""

_ROUNDS = 2
"""The ranking takes its weights against a sentence from the confidence, which learns from what ranking puts first."""

_WEIGHTS = Path(__file__).parents[1] / "data" / "models"
_PROGRESS = Console(stderr=True)

Scored = list[tuple[float, Candidate, tuple[float, ...]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what the service would judge: hits, and candidate sentences with their features."""

    question: SetQuestion
    hits: tuple[Hit, ...]
    rows: tuple[tuple[Candidate, tuple[float, ...]], ...]

    def holds_gold(self, candidate: Candidate) -> bool:
        """The sentence is of a gold passage (and meets the evidence, where its place is known) and holds an answer."""
        quote, spans = candidate.quote, self.question.evidence_spans
        gold = quote.hit.document_id in self.question.gold
        meets = not spans or any(quote.start < end and start < quote.end for start, end in spans)
        return gold and meets and contains_answer(quote.text, self.question.answers)

    def scored(self, ranker: LogisticModel) -> Scored:
        """Candidates by the ranker's probability, best first."""
        return sorted(
            ((ranker.probability(row), candidate, row) for candidate, row in self.rows), key=lambda one: -one[0]
        )

    def answers_right(self, scored: Scored) -> bool:
        """Whether the text that the generator would make of it is correct (docs/evaluation.md)."""
        sentences = [scored_sentence(candidate, score) for score, candidate, _ in scored]
        chosen = choose(sentences, several=asks_several(self.question.question))
        return is_correct_answer(" ".join(one.quote.text for one in chosen), self.question.answers)


class Asker:
    """Asks questions of a part over its own passages, through the service's own stages."""

    def __init__(self, encoder: Encoder, reader: JointReader, runtime: ModelRuntime) -> None:
        settings = RetrieveSettings.model_validate({})
        self._encoder, self._runtime = encoder, runtime
        self._depth, self._top_k = settings.rerank_candidates, GenerateSettings.model_validate({}).ask_top_k
        self._reranker = ReadingReranker(
            runtime,
            reader,
            weight=settings.rerank_weight,
            first=settings.rerank_first,
            clear_margin=settings.rerank_clear_margin,
        )
        self._assessor = reading_assessor(reader, encoder, runtime, UNFITTED)

    def ask(
        self,
        part: SetPart,
        distractors: Sequence[Passage],
        questions: Sequence[SetQuestion],
        *,
        removed: frozenset[str] = frozenset(),
    ) -> Iterator[Asked]:
        """Over the passages of `part` but those `removed`, and `distractors`."""
        index = PassageIndex(
            [*(p for p in part.passages if p.document_id not in removed), *distractors], self._encoder, self._runtime
        )
        for question in track(questions, part.name, console=_PROGRESS):
            yield self._asked(index, question)

    def ask_few(self, part: SetPart, questions: Sequence[SetQuestion], *, seed: int) -> Iterator[Asked]:
        """Each over a collection of its own, as `few_passages` draws it; the same gold passages are missing."""
        draw, removed = random.Random(seed), removed_passages(part, seed)  # noqa: S311 - not a secret
        for question in track(questions, f"{part.name}, few passages", console=_PROGRESS):
            passages = few_passages(part, question, removed, draw)
            yield self._asked(PassageIndex(passages, self._encoder, self._runtime), question)

    def _asked(self, index: PassageIndex, question: SetQuestion) -> Asked:
        found = index.search(question.question, top_k=self._depth)
        hits = merge_neighbours(self._reranker.rerank(question.question, found, timeout_s=600))[: self._top_k]
        ranked = tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1))
        return Asked(question, ranked, tuple(self._assessor.feature_rows(question.question, ranked)))


def reading_assessor(
    reader: JointReader, encoder: Encoder, runtime: ModelRuntime, weights: ReadingWeights
) -> ReadingAssessor:
    """The service's assessor with the weights given."""
    otherwise = SentenceAssessor(
        runtime, lambda _: encoder, AssessmentWeights.load(_WEIGHTS / "extractive.json"), timeout_s=600
    )
    return ReadingAssessor(runtime, reader, weights, otherwise=otherwise, timeout_s=600)


def removed_passages(part: SetPart, seed: int) -> frozenset[str]:
    """A third of the gold passages, drawn at random."""
    golds = sorted({gold for question in part.questions for gold in question.gold})
    return frozenset(random.Random(seed).sample(golds, int(len(golds) * REMOVED_SHARE)))  # noqa: S311 - not a secret


def few_passages(part: SetPart, question: SetQuestion, removed: frozenset[str], draw: random.Random) -> list[Passage]:
    """One to five passages: the question's own unless it is missing, and others of its article, or of the part where
    the article has no other.
    """
    home = question.gold[0] if question.gold else question.source
    own = [p for p in part.passages if p.document_id == home and home not in removed]
    others = [p for p in part.passages if p.document_id != home]
    article = [p for p in others if part.groups[p.document_id] == part.groups.get(home or "")]
    count = draw.randint(1, _FEW) - len(own)
    return [*own, *draw.sample(article or others, min(count, len(article or others)))]


def fit(data: Path, reader_folder: Path, *, seed: int) -> dict[str, Any]:
    """Weights of both models, with the AUROC of each on what it was fitted to and a table of thresholds."""
    encoder, runtime = SentenceTransformerEncoder("all-MiniLM-L6-v2"), ModelRuntime()
    asker = Asker(encoder, JointReader.load(reader_folder, encoder=encoder), runtime)
    asked = [one for name, questions in SETS.items() for one in _asked(asker, data / name, questions, seed)]
    asked += _asked_in_other_words(asker, data, seed)
    runtime.close()
    against = (0.0,) * len(_EXPECTED)
    for _ in range(_ROUNDS):
        features, right, judged = _judged(asked, against)
        confidence = logistic_around(_EXPECTED, features, right)
        against = tuple(confidence["weights"][CONFIDENCE_FEATURES.index(name)] for name in _EXPECTED)
    features, right, judged = _judged(asked, against)
    confidence = at_even_odds(confidence)
    return {
        "sentence_features": list(SENTENCE_FEATURES),
        "confidence_features": list(CONFIDENCE_FEATURES),
        "sentence": _ranking(asked, against),
        "confidence": confidence,
        "thresholds": _thresholds(LogisticModel.of(confidence), features, right, judged),
    }


def _judged(
    asked: Sequence[Asked], against: Sequence[float]
) -> tuple[list[tuple[float, ...]], list[bool], list[Asked]]:
    """What the confidence is to learn from: its features, whether the answer is right, and the question, each half
    answered by a ranking that was fitted on the other.
    """
    features: list[tuple[float, ...]] = []
    right: list[bool] = []
    judged: list[Asked] = []
    first, second = _halves(asked)
    for own, other in ((first, second), (second, first)):
        ranker = LogisticModel.of(_ranking(other, against))
        for one in own:
            if scored := one.scored(ranker):
                features.append(confidence_features(scored, one.hits))
                right.append(one.answers_right(scored))
                judged.append(one)
    return features, right, judged


def _halves(asked: Sequence[Asked]) -> tuple[list[Asked], list[Asked]]:
    """Every other question, with all that was asked of it."""
    order = {question: place for place, question in enumerate(dict.fromkeys(one.question.id for one in asked))}
    return (
        [one for one in asked if order[one.question.id] % 2 == 0],
        [one for one in asked if order[one.question.id] % 2 == 1],
    )


def _ranking(asked: Sequence[Asked], against: Sequence[float]) -> dict[str, Any]:
    """Gold sentences against all others, of the questions that have one, by what speaks for a sentence; what speaks
    against it counts as in the confidence, lest a sentence come first that the confidence then refuses.
    """
    found = [one for one in asked if any(one.holds_gold(candidate) for candidate, _ in one.rows)]
    rows = [(row, one.holds_gold(candidate)) for one in found for candidate, row in one.rows]
    fitted = logistic([row[: -len(against)] for row, _ in rows], [label for _, label in rows])
    return {**fitted, "weights": [*fitted["weights"], *against]}


def _asked(asker: Asker, folder: Path, questions: int, seed: int) -> Iterator[Asked]:
    """Story by story where questions make no sense outside of their story."""
    part = load_part(folder, "choose")
    draw = random.Random(seed)  # noqa: S311 - not a secret
    chosen = draw.sample(part.questions, min(questions, len(part.questions)))
    if folder.name != "fairytaleqa_train":
        train = load_part(folder, "train").passages
        distractors = draw.sample(train, min(_DISTRACTORS, len(train)))
        yield from asker.ask(part, distractors, chosen, removed=removed_passages(part, seed))
        yield from asker.ask_few(part, chosen, seed=seed)
        return
    for story in sorted(set(part.groups.values())):
        inside = [p for p in part.passages if part.groups[p.document_id] == story]
        mine = [q for q in chosen if q.gold and part.groups.get(q.gold[0]) == story]
        if mine:
            here = replace(part, passages=tuple(inside))
            yield from asker.ask(here, (), mine, removed=removed_passages(here, seed))
            yield from asker.ask_few(here, mine, seed=seed)


def _asked_in_other_words(asker: Asker, data: Path, seed: int) -> Iterator[Asked]:
    """Our own questions, none of whose documents the reading model was trained on."""
    manuals, paragraphs = load_written(MANUALS_CHOOSE, data), load_written(ENCYCLOPEDIA_CHOOSE, data)
    yield from asker.ask(manuals, (), manuals.questions)
    yield from asker.ask(manuals, (), manuals.questions, removed=removed_passages(manuals, seed))
    yield from asker.ask(paragraphs, (), paragraphs.questions, removed=removed_passages(paragraphs, seed))
    yield from asker.ask_few(paragraphs, paragraphs.questions, seed=seed)


def logistic(features: Sequence[Sequence[float]], labels: Sequence[bool]) -> dict[str, Any]:
    """A logistic regression as `LogisticModel.of` reads it, with what it was fitted on."""
    rows, truth = np.array(features), np.array(labels)
    model = LogisticRegression(max_iter=5000).fit(rows, truth)
    return _fitted(model.coef_[0], model.intercept_[0], model.decision_function(rows), truth)


def _fitted(
    weights: NDArray[np.float64], intercept: float, logits: NDArray[np.float64], truth: NDArray[Any]
) -> dict[str, Any]:
    auroc = roc_auc_score(truth, logits)
    return {
        "weights": [round(float(w), 4) for w in weights],
        "intercept": round(float(intercept), 4),
        "fitted_on": {"rows": len(truth), "positive": int(truth.sum()), "auroc": round(float(auroc), 4)},
    }


def logistic_around(
    expected: Mapping[str, float], features: Sequence[Sequence[float]], labels: Sequence[bool]
) -> dict[str, Any]:
    """As `logistic`, the weights being normally distributed around those `expected` of the confidence's features (0
    where none is), those not above 0 (maximum a posteriori; Gelman et al., Annals of Applied Statistics 2008).
    """
    rows, truth = np.column_stack([np.array(features), np.ones(len(labels))]), np.array(labels, dtype=np.float64)
    centre = np.array([*(expected.get(name, 0.0) for name in CONFIDENCE_FEATURES), 0.0])
    precision = np.array([*(1 / _VARIANCE for _ in CONFIDENCE_FEATURES), 0.0])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits, away = rows @ weights, weights - centre
        value = np.sum(np.logaddexp(0, logits) - truth * logits) + np.sum(precision * away**2) / 2
        return float(value), rows.T @ (1 / (1 + np.exp(-logits)) - truth) + precision * away

    bounds = [*((None, 0.0 if name in expected else None) for name in CONFIDENCE_FEATURES), (None, None)]
    weights = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000}).x
    return _fitted(weights[:-1], weights[-1], rows @ weights, truth)


def at_even_odds(model: dict[str, Any]) -> dict[str, Any]:
    """The model for a mix in which half of the best answers are right, as in `eval.fit_extractive`."""
    right = model["fitted_on"]["positive"]
    wrong = model["fitted_on"]["rows"] - right
    return {**model, "intercept": round(model["intercept"] + math.log(wrong / right), 4)}


def _thresholds(
    model: LogisticModel, features: Sequence[Sequence[float]], right: Sequence[bool], asked: Sequence[Asked]
) -> list[dict[str, float]]:
    """For each threshold the share of questions answered, and of those the share that is right."""
    confidence: NDArray[np.float64] = np.array([model.probability(row) for row in features])
    truth, answerable = np.array(right), np.array([one.question.answerable for one in asked])
    table = []
    for threshold in np.arange(0.1, 0.95, 0.05):
        given = confidence >= threshold
        table.append(
            {
                "threshold": round(float(threshold), 2),
                "answered": round(float(given.mean()), 3),
                "right_among_answered": round(float(truth[given].mean()), 3) if given.any() else 0.0,
                "right_kept": round(float(given[truth].mean()), 3),
                "unanswerable_answered": round(float(given[~answerable].mean()), 3) if (~answerable).any() else 0.0,
            }
        )
    return table


_FLAT = LogisticModel((0.0,) * len(SENTENCE_FEATURES), 0.0)
UNFITTED = ReadingWeights(_FLAT, LogisticModel((0.0,) * len(CONFIDENCE_FEATURES), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the reader's assessment.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--reader", type=Path, default=_WEIGHTS / "minilm-reader", help="folder of the adapter")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    fitted = fit(arguments.data, arguments.reader, seed=arguments.seed)
    arguments.out.write_text(json.dumps(fitted, indent=1) + "\n")


if __name__ == "__main__":
    main()
