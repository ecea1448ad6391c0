"""Metrics of a run, each with an interval over other questions like these, and how many asks were left unscored.

Rates are sums over sums; their 95 % intervals are percentiles of a bootstrap over clusters (one source document, one
family of paraphrases), so that questions that share their fate do not count as independent. A metric without anything
to count is None, never NaN.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.measures import (
    Factors,
    answer_rate_at_risk,
    augrc,
    aurc,
    flip_rate,
    meaning_clusters,
    pair_agreement,
    pass_hat_k,
    rank_biased_overlap,
    semantic_entropy,
    success_index,
)
from eval.rows import EvaluationRow

Ratio = tuple[float, float] | None
"""Numerator and denominator of one row's part in a rate; None where the row is not scored."""

_RESAMPLES = 2_000
_SEED = 20_240_701
_SAME_EVIDENCE = 0.9


@dataclass(frozen=True, slots=True)
class Metric:
    """A value in the metric's own unit with its 95 % interval; `n` asks (or questions) counted, `unscored` not."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int


@dataclass(frozen=True, slots=True)
class Item:
    """One phrasing of one question with its replicates, in order."""

    question_id: str
    phrasing: int
    rows: tuple[EvaluationRow, ...]

    @property
    def cluster(self) -> str:
        return self.rows[0].cluster

    @property
    def meanings(self) -> list[int]:
        """Clusters of meaning of the answers that are still there (a deletion takes them away)."""
        kept = [row for row in self.rows if row.decision != "answer" or row.short_answer is not None]
        return meaning_clusters([row.short_answer for row in kept], [row.decision == "error" for row in kept])


def _flag(value: bool | float | None) -> Ratio:
    return None if value is None else (float(value), 1.0)


def _if(condition: bool, value: bool | float | None) -> Ratio:
    return _flag(value) if condition else None


RATES: Mapping[str, Callable[[EvaluationRow], Ratio]] = {
    "task_success": lambda row: _flag(row.success),
    "correctness": lambda row: _flag(row.correct),
    "answer_rate": lambda row: _flag(row.decision == "answer"),
    "error_rate": lambda row: _flag(row.decision == "error"),
    "wrong_answer_rate": lambda row: _flag(_wrong(row)),
    "selective_risk": lambda row: _if(row.decision == "answer", _wrong(row)),
    "false_answer_rate": lambda row: _if(not row.answerable, row.decision == "answer"),
    "over_refusal_rate": lambda row: _if(row.answerable, row.decision == "refuse"),
    "over_refusal_with_evidence": lambda row: _if(
        row.answerable and row.evidence_found is True, row.decision == "refuse"
    ),
    "over_refusal_without_evidence": lambda row: _if(
        row.answerable and row.evidence_found is False, row.decision == "refuse"
    ),
    "refusal_precision": lambda row: _if(row.decision == "refuse", not row.answerable),
    "refusal_recall": lambda row: _if(not row.answerable, row.decision == "refuse"),
    "retrieval_coverage": lambda row: _flag(row.evidence_found),
    "retrieval_recall": lambda row: _flag(row.retrieval_coverage),
    "reciprocal_rank": lambda row: _flag(row.reciprocal_rank),
    "evidence_rate": lambda row: _flag(row.evidence_whole),
    "evidence_rate_claims": lambda row: None if row.claims is None else (float(row.supported or 0), float(row.claims)),
    "exact_match": lambda row: _flag(row.exact_match),
    "token_f1": lambda row: _flag(row.token_f1),
}
"""Rates over asks. `retrieval_coverage` is strict (all gold evidence), `retrieval_recall` the share of groups;
`evidence_rate` is strict (all claims of an answer), `evidence_rate_claims` counts claims."""


def metrics_of(rows: Sequence[EvaluationRow]) -> dict[str, Metric]:
    """Every metric of a run by name; those of stability need two replicates, those of paraphrases need paraphrases."""
    found = {name: _rate(rows, part) for name, part in RATES.items()}
    items = items_of(rows)
    for name, measure in _PER_ITEM.items():
        found[name] = mean_metric([(item.cluster, measure(item)) for item in items])
    found |= _paraphrase_metrics(items)
    found |= _confidence_metrics([item.rows[0] for item in items])
    found |= _success_metrics(items)
    return found


def metrics_json(metrics: Mapping[str, Metric]) -> dict[str, dict[str, Any]]:
    """As the HTTP contract shows them, rounded to four decimals."""
    return {name: {key: _rounded(value) for key, value in asdict(one).items()} for name, one in metrics.items()}


def items_of(rows: Sequence[EvaluationRow]) -> list[Item]:
    """Rows grouped by question and phrasing, in the order of their first appearance."""
    groups: dict[tuple[str, int], list[EvaluationRow]] = defaultdict(list)
    for row in rows:
        groups[row.question_id, row.phrasing].append(row)
    return [
        Item(question_id, phrasing, tuple(sorted(group, key=lambda row: row.replicate)))
        for (question_id, phrasing), group in groups.items()
    ]


def factors_of(item: Item) -> Factors | None:
    """Correctness, coverage and stability of one item (see `eval.measures.success`); None where one is unscored."""
    correct = [float(row.correct) for row in item.rows if row.correct is not None]
    stability = pair_agreement(item.meanings)
    if not correct or stability is None:
        return None
    covered = [float(row.evidence_found is not False and row.evidence_whole is not False) for row in item.rows]
    coverage = sum(covered) / len(covered) if item.rows[0].answerable else 1.0
    return Factors(sum(correct) / len(correct), coverage, stability)


def interval_of(changes: Sequence[tuple[str, float]]) -> tuple[float | None, float | None]:
    """95 % interval of the mean of (cluster, value) pairs, by the bootstrap over clusters; None below two clusters."""
    found = mean_metric(changes)
    return found.low, found.high


def _wrong(row: EvaluationRow) -> bool | None:
    """Answered and not correct; None where correctness is unknown."""
    if row.decision != "answer":
        return False
    return None if row.correct is None else not row.correct


def _successes(item: Item) -> float | None:
    scored = [bool(row.success) for row in item.rows if row.success is not None]
    return pass_hat_k(sum(scored), len(scored), len(scored)) if len(scored) >= 2 else None


_PER_ITEM: Mapping[str, Callable[[Item], float | None]] = {
    "decision_stability": lambda item: pair_agreement([row.decision for row in item.rows]),
    "answer_stability": lambda item: pair_agreement(item.meanings),
    "flip_rate": lambda item: flip_rate(item.meanings),
    "semantic_entropy": lambda item: semantic_entropy(item.meanings),
    "pass_all_replicates": _successes,
}


def _paraphrase_metrics(items: Sequence[Item]) -> dict[str, Metric]:
    """Agreement of the phrasings' first replicates: end to end, of the rankings (RBO), and of the answers where the
    rankings are nearly the same (RBO >= 0.9), which leaves the generation as the cause.
    """
    families: dict[str, list[EvaluationRow]] = defaultdict(list)
    for item in items:
        families[item.question_id].append(item.rows[0])
    agreement, overlap, given_evidence = [], [], []
    for phrasings in families.values():
        if len(phrasings) < 2:
            continue
        cluster = phrasings[0].cluster
        labels = Item(phrasings[0].question_id, 0, tuple(phrasings)).meanings
        agreement.append((cluster, pair_agreement(labels)))
        if len(labels) < len(phrasings):
            continue
        pairs = list(combinations(range(len(phrasings)), 2))
        overlaps = [rank_biased_overlap(phrasings[a].retrieved, phrasings[b].retrieved) for a, b in pairs]
        known = [one for one in overlaps if one is not None]
        overlap.append((cluster, sum(known) / len(known) if known else None))
        same = [
            labels[a] == labels[b] for (a, b), one in zip(pairs, overlaps, strict=True) if (one or 0) >= _SAME_EVIDENCE
        ]
        given_evidence.append((cluster, sum(same) / len(same) if same else None))
    return {
        "paraphrase_stability": mean_metric(agreement),
        "paraphrase_retrieval_overlap": mean_metric(overlap),
        "paraphrase_generation_stability": mean_metric(given_evidence),
    }


def _confidence_metrics(rows: Sequence[EvaluationRow]) -> dict[str, Metric]:
    """How well the confidence orders right and wrong, over first replicates that have one. An answer that was not
    given (a refusal) counts as what it would have been: wrong for an unanswerable question, and right for an
    answerable one only if its evidence was found.
    """
    scored = [(row.confidence, would_be_wrong(row)) for row in rows if row.confidence is not None]
    pairs = [(confidence, wrong) for confidence, wrong in scored if wrong is not None]
    confidence, wrong = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    unscored = len(rows) - len(pairs)

    def plain(value: float | None) -> Metric:
        return Metric(value, None, None, len(pairs), unscored)

    return {
        "aurc": plain(aurc(confidence, wrong)),
        "augrc": plain(augrc(confidence, wrong)),
        "answer_rate_at_risk_0.1": plain(answer_rate_at_risk(confidence, wrong, 0.1) if pairs else None),
    }


def would_be_wrong(row: EvaluationRow) -> bool | None:
    """Whether an answer is wrong, or would have been; None where that is not known.

    A refused answerable question whose evidence was found is unknown: nobody has seen the answer.
    """
    if row.decision == "answer":
        return _wrong(row)
    if not row.answerable or row.evidence_found is False:
        return True
    return None


def _success_metrics(items: Sequence[Item]) -> dict[str, Metric]:
    pairs = [(item.cluster, factors_of(item)) for item in items]
    index = [(cluster, None if one is None else success_index([one])) for cluster, one in pairs]
    return {
        "success_index": mean_metric(index),
        "success_correctness": mean_metric(
            [(cluster, None if one is None else one.correctness) for cluster, one in pairs]
        ),
        "success_coverage": mean_metric([(cluster, None if one is None else one.coverage) for cluster, one in pairs]),
        "success_stability": mean_metric([(cluster, None if one is None else one.stability) for cluster, one in pairs]),
    }


def _rate(rows: Sequence[EvaluationRow], part: Callable[[EvaluationRow], Ratio]) -> Metric:
    parts = [(row.cluster, part(row)) for row in rows]
    scored = [(cluster, one) for cluster, one in parts if one is not None]
    return _estimate(scored, unscored=len(parts) - len(scored))


def mean_metric(values: Sequence[tuple[str, float | None]]) -> Metric:
    """The mean of (cluster, value) pairs with its interval; a value of None is unscored."""
    scored = [(cluster, (value, 1.0)) for cluster, value in values if value is not None]
    return _estimate(scored, unscored=len(values) - len(scored))


def _estimate(scored: Sequence[tuple[str, tuple[float, float]]], *, unscored: int) -> Metric:
    sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(2))
    for cluster, ratio in scored:
        sums[cluster] += ratio
    table = np.array(list(sums.values())) if sums else np.zeros((0, 2))
    total = table.sum(axis=0)
    if total[1] == 0:
        return Metric(None, None, None, len(scored), unscored)
    low, high = _interval(table)
    return Metric(float(total[0] / total[1]), low, high, len(scored), unscored)


def _interval(table: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """2.5 and 97.5 percentiles over resampled clusters, rows of (numerator, denominator); None with one cluster."""
    clusters = len(table)
    if clusters < 2:
        return None, None
    draws = np.random.default_rng(_SEED).multinomial(clusters, np.full(clusters, 1 / clusters), size=_RESAMPLES)
    sums = draws @ table
    rates = sums[sums[:, 1] > 0]
    low, high = np.quantile(rates[:, 0] / rates[:, 1], [0.025, 0.975])
    return float(low), float(high)


def _rounded(value: float | int | None) -> float | int | None:
    return round(value, 4) if isinstance(value, float) else value
