"""A question set of a collection's own as something to fit fusion weights on, seen through its search interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from eval.fusion_fit import DEPTH, JudgedQuestion, fit_fusion, mean_reciprocal_rank
from eval.question_sets import CALIBRATION_POOL, EvaluationQuestion
from ingest.errors import InvalidInput
from retrieve.candidates import Candidates
from retrieve.fusion import embedder_fits
from retrieve.fusion_weights import EQUAL, FusionTable, FusionWeights

QUESTIONS_MIN = 50
"""Two rates from fewer questions follow chance; the shipped ones are better then."""

Mode = Literal["vector", "lexical"]
Search = Callable[[str, Mode], Sequence[Mapping[str, Any]]]
"""The best `DEPTH` hits of a question by one index alone, as the HTTP interface gives them."""


@dataclass(frozen=True, slots=True)
class FusionFit:
    """Weights for an embedder, and MRR@10 of the questions by each way of ranking; `fitted` was told by halves that did
    not see them.
    """

    weights: FusionWeights
    questions: int
    vector: float
    lexical: float
    present: float
    fitted: float

    @property
    def is_better(self) -> bool:
        """Than what serves now."""
        return self.fitted > self.present


def fit_collection(
    questions: Iterable[EvaluationQuestion],
    search: Search,
    *,
    embedder: str,
    languages: tuple[str, ...] | None,
    table: FusionTable,
) -> FusionFit:
    """Fits on the questions with gold documents that the embedder can read, but for those of pool `calibrate`.

    `table` holds what serves now. Raises `InvalidInput` (`nothing_to_fit`) below `QUESTIONS_MIN`.
    """
    usable = [
        one
        for one in questions
        if _gold(one) and one.pool != CALIBRATION_POOL and embedder_fits(one.question, languages=languages)
    ]
    if len(usable) < QUESTIONS_MIN:
        raise InvalidInput(
            f"{len(usable)} questions can be fitted on; at least {QUESTIONS_MIN} with gold documents, in a script that"
            f" {embedder} reads and not of pool {CALIBRATION_POOL}, are needed",
            code="nothing_to_fit",
        )
    judged = [_judged(one, search) for one in usable]
    halves = judged[::2], judged[1::2]
    method, present = table.fusion_of(embedder, "spread")
    across = [
        mean_reciprocal_rank(unseen, "spread", fit_fusion({"seen": seen})) * len(unseen)
        for seen, unseen in (halves, halves[::-1])
    ]
    return FusionFit(
        fit_fusion({"all": judged}),
        len(judged),
        mean_reciprocal_rank(judged, "convex", FusionWeights(1, 0)),
        mean_reciprocal_rank(judged, "convex", FusionWeights(0, 1)),
        mean_reciprocal_rank(judged, method, present if method == "spread" else EQUAL),
        sum(across) / len(judged),
    )


def _judged(question: EvaluationQuestion, search: Search) -> JudgedQuestion:
    """Chunks are numbered as they come; neighbours that the interface merged are one."""
    number_of: dict[str, int] = {}
    document_of: dict[int, str] = {}
    lists = []
    modes: tuple[Mode, Mode] = ("vector", "lexical")
    for mode in modes:
        hits = search(question.question, mode)
        for hit in hits:
            document_of[number_of.setdefault(hit["chunk_id"], len(number_of))] = hit["document_id"]
        chunks = np.array([number_of[hit["chunk_id"]] for hit in hits], np.int64)
        scores = np.array([hit["scores"][mode] for hit in hits], np.float32)
        lists.append(Candidates.best(chunks, scores, top_k=DEPTH) if hits else Candidates.none())
    return JudgedQuestion(lists[0], lists[1], document_of, _gold(question))


def _gold(question: EvaluationQuestion) -> frozenset[str]:
    return frozenset(item.document_id for group in question.evidence_groups for item in group)
