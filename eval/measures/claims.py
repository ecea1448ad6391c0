"""Claims of an answer, of the gold answer, and the passages, against each other: what was right, known, or made up.

Source: RAGChecker (Ru et al., NeurIPS 2024). It scores 0 where there are no claims, which punishes a refusal; here a
measure without anything to count is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClaimMatrix:
    """Who entails what, decided by an NLI model, a judge or a person.

    `right[c]`: the gold answer entails claim c of the answer. `supported[c][k]`: passage k entails claim c.
    `said[g]`: the answer entails gold claim g. `available[g][k]`: passage k entails gold claim g.
    """

    right: tuple[bool, ...]
    supported: tuple[tuple[bool, ...], ...]
    said: tuple[bool, ...]
    available: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class ClaimScores:
    """Shares in [0, 1], None where nothing is counted.

    precision = mean_c right; recall = mean_g said; f1 their harmonic mean; hallucination = mean_c [no passage and not
    the gold answer entails c]; self_knowledge = mean_c [no passage entails c, the gold answer does];
    context_utilisation = gold claims that are in a passage and in the answer / gold claims in a passage.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    hallucination: float | None
    self_knowledge: float | None
    context_utilisation: float | None


def claim_scores(matrix: ClaimMatrix) -> ClaimScores:
    """All scores of one answer."""
    precision, recall = _mean(matrix.right), _mean(matrix.said)
    grounded = [any(row) for row in matrix.supported]
    found = [any(row) for row in matrix.available]
    claims = list(zip(matrix.right, grounded, strict=True))
    return ClaimScores(
        precision=precision,
        recall=recall,
        f1=_harmonic(precision, recall),
        hallucination=_mean([not right and not ground for right, ground in claims]),
        self_knowledge=_mean([right and not ground for right, ground in claims]),
        context_utilisation=_mean([said for said, there in zip(matrix.said, found, strict=True) if there]),
    )


def _mean(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _harmonic(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    return 2 * one * other / (one + other) if one + other else 0.0
