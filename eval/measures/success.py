"""Success = correctness x coverage x stability, per question, and what a change of it is due to.

A dashboard index, not a gate: coverage counts twice (without evidence there is seldom a right answer), and stability
follows correctness mechanically. Task success gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Factors:
    """One question's mean correctness c, evidence coverage v (1 where unanswerable) and answer stability s, in [0, 1].

    v is 1 when all gold evidence was retrieved and every claim supported.
    """

    correctness: float
    coverage: float
    stability: float

    @property
    def success(self) -> float:
        return self.correctness * self.coverage * self.stability


@dataclass(frozen=True, slots=True)
class Attribution:
    """The parts of a change of the index that are due to each factor; they sum to `change`."""

    correctness: float
    coverage: float
    stability: float

    @property
    def change(self) -> float:
        return self.correctness + self.coverage + self.stability


@dataclass(frozen=True, slots=True)
class Luck:
    """Correctness split by its ground: c = with_evidence + without_evidence."""

    with_evidence: float
    without_evidence: float


def success_index(questions: Sequence[Factors]) -> float | None:
    """mean_i (c_i v_i s_i), in [0, 1]; None without questions.

    Not the product of the three means, which hides their correlation and cannot be compared question by question.
    """
    return sum(one.success for one in questions) / len(questions) if questions else None


def attribute_change(before: Sequence[Factors], after: Sequence[Factors]) -> Attribution | None:
    """Shapley values of the three factors for the change of the index, averaged over the same questions in order.

    phi_c = dc [ v0 s0 / 3 + v1 s0 / 6 + v0 s1 / 6 + v1 s1 / 3 ], likewise v and s. Exact and safe at zero: the three
    sum to the change. None without questions. Source: Shapley 1953; the weights are those of three players.
    """
    if not before:
        return None
    parts = [_shapley(old, new) for old, new in zip(before, after, strict=True)]
    n = len(parts)
    return Attribution(*(sum(part[i] for part in parts) / n for i in range(3)))


def parametric_luck(correct: Sequence[bool], evidence: Sequence[bool]) -> Luck | None:
    """c = v P(c | v = 1) + (1 - v) P(c | v = 0) over answered, answerable asks: the second term is right without
    evidence. None without asks.
    """
    n = len(correct)
    if not n:
        return None
    pairs = list(zip(correct, evidence, strict=True))
    return Luck(sum(c and v for c, v in pairs) / n, sum(c and not v for c, v in pairs) / n)


def _shapley(old: Factors, new: Factors) -> tuple[float, float, float]:
    c0, v0, s0 = old.correctness, old.coverage, old.stability
    c1, v1, s1 = new.correctness, new.coverage, new.stability
    return (
        (c1 - c0) * _weighted(v0, v1, s0, s1),
        (v1 - v0) * _weighted(c0, c1, s0, s1),
        (s1 - s0) * _weighted(c0, c1, v0, v1),
    )


def _weighted(a0: float, a1: float, b0: float, b1: float) -> float:
    return a0 * b0 / 3 + a1 * b0 / 6 + a0 * b1 / 6 + a1 * b1 / 3
