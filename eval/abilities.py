"""The four abilities of RGB, and MIRAGE's cases, over the drafted questions of a set (`citewell eval new`).

A question names its ability by a tag. Source: Chen et al., Benchmarking LLMs in RAG, AAAI 2024; its data are not used.
Departs from it: an answer is judged by `correct` of docs/evaluation.md instead of substrings, a refusal by the decision
instead of a phrase, and an error counts as a failure. An ability without questions is unscored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.rows import EvaluationRow
from eval.summary import Metric, mean_metric

ABILITIES: Mapping[str, frozenset[str]] = {
    "noise_robustness": frozenset({"ability:noise"}),
    "negative_rejection": frozenset({"ability:rejection", "ability:gold-removed"}),
    "information_integration": frozenset({"ability:two-documents"}),
    "counterfactual_robustness": frozenset({"ability:edited"}),
}
"""Metrics in [0, 1] by the tags of their questions: right among near misses; refused where only near misses are left;
right with all gold evidence of two documents; refused where a value in the question was edited."""

_MIXED, _ORACLE = "ability:plain", "ability:oracle"


def ability_metrics(rows: Sequence[EvaluationRow]) -> dict[str, Metric]:
    """Metrics by name, only those whose questions are there. `noise_vulnerability`: right on the gold document alone,
    wrong in the whole collection; `context_insensitivity`: wrong on the gold document alone (MIRAGE's NV and CI, for a
    reader that knows nothing without passages).
    """
    found = {}
    for name, tags in ABILITIES.items():
        scores = [(row.cluster, _score(name, row)) for row in rows if tags & set(row.tags)]
        if scores:
            found[name] = mean_metric(scores)
    if pairs := _oracle_pairs(rows):
        found["noise_vulnerability"] = mean_metric([(one, oracle and not mixed) for one, oracle, mixed in pairs])
        found["context_insensitivity"] = mean_metric([(one, not oracle) for one, oracle, _ in pairs])
    return found


def _score(metric: str, row: EvaluationRow) -> bool | None:
    """Whether the ask shows the ability; None where correctness is unknown."""
    if metric == "information_integration" and row.correct:
        return row.evidence_found is not False
    return row.correct


def _oracle_pairs(rows: Sequence[EvaluationRow]) -> list[tuple[str, bool, bool]]:
    """(cluster, right on the gold document alone, right in the whole collection) for questions asked in both ways.

    First asks of the question itself; the two are paired by their words.
    """
    first = [row for row in rows if row.replicate == 0 and row.phrasing == 0 and row.correct is not None]
    whole = {row.question: row for row in first if _MIXED in row.tags}
    return [
        (row.cluster, bool(row.correct), bool(whole[row.question].correct))
        for row in first
        if _ORACLE in row.tags and row.question in whole
    ]
