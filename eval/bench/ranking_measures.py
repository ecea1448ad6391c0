"""How good rankings are, question by question, and how sure it is that one system's are better than another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import RR, Qrel, R, ScoredDoc, nDCG
from numpy.typing import NDArray

from eval.retrieval_sets import RetrievalSet

MEASURES = {"RR@10": RR @ 10, "nDCG@10": nDCG @ 10, "R@10": R @ 10}
"""Mean reciprocal rank, normalised discounted cumulative gain and recall among the first ten passages."""

RESAMPLES = 10_000
_AT_ONCE = 500

Rankings = Mapping[str, Sequence[str]]
"""Ids of passages, best first, by id of the question."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference with its 95 % interval."""

    mean: float
    low: float
    high: float


def measure_rankings(passages: RetrievalSet, rankings: Rankings) -> dict[str, NDArray[np.float64]]:
    """Each of `MEASURES` for every question, in their order, shape (n_questions,); 0 for one without ranking."""
    rows = {question.id: row for row, question in enumerate(passages.questions)}
    judged = [Qrel(q.id, passage, grade) for q in passages.questions for passage, grade in q.relevant.items()]
    ranked = [
        ScoredDoc(question, passage, -float(rank))
        for question, found in rankings.items()
        for rank, passage in enumerate(found)
    ]
    values = {name: np.zeros(len(rows)) for name in MEASURES}
    names = {str(measure): name for name, measure in MEASURES.items()}
    for one in ir_measures.iter_calc(list(MEASURES.values()), judged, ranked):
        values[names[str(one.measure)]][rows[one.query_id]] = one.value
    return values


def paired_difference(one: NDArray[np.float64], other: NDArray[np.float64], *, seed: int = 1) -> Difference:
    """one - other over the same questions, shape (n,): mean and percentiles of a bootstrap over questions."""
    differences = one - other
    low, high = np.percentile(_resampled_means(differences, seed), (2.5, 97.5))
    return Difference(float(differences.mean()), float(low), float(high))


def mean_difference(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], *, seed: int = 1) -> Difference:
    """Mean over sets of the mean difference in each set: every set counts the same; questions are drawn in each set."""
    differences = [one - other for one, other in pairs]
    means = np.mean([_resampled_means(each, seed + number) for number, each in enumerate(differences)], axis=0)
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(float(np.mean([each.mean() for each in differences])), float(low), float(high))


def _resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of `RESAMPLES` samples as large as `values`, drawn with repeats."""
    random = np.random.default_rng(seed)
    parts = [
        values[random.integers(0, len(values), (_AT_ONCE, len(values)))].mean(axis=1)
        for _ in range(RESAMPLES // _AT_ONCE)
    ]
    return np.concatenate(parts)
