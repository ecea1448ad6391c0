"""Weights fitted on made candidates, and on a collection's own questions through its search interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from eval.fusion_fit import JudgedQuestion, fit_fusion, leave_one_out, mean_reciprocal_rank
from eval.fusion_questions import Mode, fit_collection
from eval.question_sets import EvaluationQuestion
from ingest.errors import InvalidInput
from retrieve.candidates import Candidates
from retrieve.fusion_weights import EQUAL, FusionTable, FusionWeights


def judged(vector: Sequence[float], lexical: Sequence[float], relevant: int) -> JudgedQuestion:
    """Chunks 0, 1, … with these scores in both lists; each is a passage of its own."""
    chunks = np.arange(len(vector))
    lists = [Candidates.best(chunks, np.array(scores, np.float32), top_k=100) for scores in (vector, lexical)]
    return JudgedQuestion(*lists, {chunk: str(chunk) for chunk in chunks.tolist()}, frozenset({str(relevant)}))


def random_questions(seed: int, *, telling: int) -> list[JudgedQuestion]:
    """Thirty, where one list (0: vector, 1: lexical) puts the relevant chunk ahead and the other is noise."""
    random = np.random.default_rng(seed)
    questions = []
    for _ in range(30):
        scores = [random.uniform(0.2, 0.6, 8), random.uniform(4, 12, 8)]
        relevant = int(random.integers(8))
        scores[telling][relevant] = scores[telling].max() * 1.02
        questions.append(judged(scores[0].tolist(), scores[1].tolist(), relevant))
    return questions


@pytest.mark.parametrize("telling", [0, 1])
def test_fitting_finds_the_list_that_tells(telling: int) -> None:
    """With its weights the ranking is as good as that list; with equal weights it was not."""
    questions = random_questions(1, telling=telling)
    weights = fit_fusion({"made": questions})
    assert mean_reciprocal_rank(questions, "spread", weights) > mean_reciprocal_rank(questions, "convex", EQUAL) + 0.2


def test_fitting_needs_a_relevant_candidate() -> None:
    """A question whose gold is nowhere among the candidates says nothing."""
    with pytest.raises(InvalidInput, match="no relevant passage"):
        fit_fusion({"made": [judged([0.5, 0.4], [9, 8], relevant=7)]})


def test_leaving_out_reports_every_set() -> None:
    """What another domain taught does harm here, and the report says so."""
    report = leave_one_out({"one": random_questions(1, telling=0), "other": random_questions(2, telling=1)})
    assert report["one"]["fitted on the others"] < report["one"]["vector"]


def asked(count: int, **fields: Any) -> list[EvaluationQuestion]:
    return [
        EvaluationQuestion(id=str(n), question=f"question {n}", answerable=True, gold_doc_ids=(f"d{n % 8}",), **fields)
        for n in range(count)
    ]


class Collection:
    """Eight documents; words find the gold one, vectors put another first by a hair."""

    def __init__(self) -> None:
        self.searched: list[str] = []

    def search(self, question: str, mode: Mode) -> list[Mapping[str, Any]]:
        self.searched.append(question)
        gold = int(question.split()[1]) % 8
        order = [(gold + shift) % 8 for shift in range(8)]
        scores = [9.0, 3, 2, 1, 1, 1, 1, 1] if mode == "lexical" else [0.50, 0.51, 0.5, 0.5, 0.4, 0.4, 0.4, 0.1]
        return [
            {"chunk_id": f"c{document}", "document_id": f"d{document}", "scores": {mode: score}}
            for document, score in zip(order, scores, strict=True)
        ]


def test_collection_is_fitted_through_its_search() -> None:
    """Vectors counted for all before; now words decide, on questions that were not fitted on too."""
    table = FusionTable({"made": FusionWeights(100.0, 0.0)})
    fit = fit_collection(asked(60), Collection().search, embedder="made", languages=("en",), table=table)
    assert (fit.questions, fit.lexical, fit.fitted) == (60, 1.0, 1.0)
    assert fit.present == fit.vector < 1
    assert fit.is_better


def test_collection_is_not_fitted_on_too_few_or_on_what_is_kept_for_calibrating() -> None:
    """Questions of the pool `calibrate`, or in another script, are not even searched."""
    collection = Collection()
    questions = [*asked(49), *(one.model_copy(update={"pool": "calibrate"}) for one in asked(60))]
    with pytest.raises(InvalidInput, match="49 questions"):
        fit_collection(questions, collection.search, embedder="made", languages=("en",), table=FusionTable())
    assert collection.searched == []
