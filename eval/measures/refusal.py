"""Whether the right questions are refused, and how well the confidence tells right answers from wrong ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class RefusalRates:
    """Rates in [0, 1], each None where its denominator is zero. Errors count as neither answered nor refused.

    precision = refused and unanswerable / refused; recall = refused / unanswerable; f1 of the two;
    false_answer_rate = answered / unanswerable; over_refusal_rate = refused / answerable, and split by whether the
    evidence had been retrieved: with evidence it is the reader's fault, without it the retriever's.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    false_answer_rate: float | None
    over_refusal_rate: float | None
    over_refusal_with_evidence: float | None
    over_refusal_without_evidence: float | None


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """At this confidence and above, `answer_rate` of the asks are answered, `risk` of those wrongly."""

    threshold: float
    answer_rate: float
    risk: float


def refusal_rates(
    decisions: Sequence[str], answerable: Sequence[bool], evidence_found: Sequence[bool | None]
) -> RefusalRates:
    """Rates over asks; `decisions` are `answer`, `refuse` or `error`, the positive class is "should refuse".

    Precision depends on the mix of the set, which is why the two error rates stand beside it. Source: rejection rate
    of RGB (Chen et al., AAAI 2024) for recall; the split is our own.
    """
    rows = list(zip(decisions, answerable, evidence_found, strict=True))
    refused = [can for decision, can, _ in rows if decision == "refuse"]
    unanswerable = [decision for decision, can, _ in rows if not can]
    precision = _share([not can for can in refused])
    recall = _share([decision == "refuse" for decision in unanswerable])

    def over_refusal(evidence: tuple[bool | None, ...]) -> float | None:
        return _share([decision == "refuse" for decision, can, found in rows if can and found in evidence])

    return RefusalRates(
        precision=precision,
        recall=recall,
        f1=_f1(precision, recall),
        false_answer_rate=_share([decision == "answer" for decision in unanswerable]),
        over_refusal_rate=over_refusal((True, False, None)),
        over_refusal_with_evidence=over_refusal((True,)),
        over_refusal_without_evidence=over_refusal((False,)),
    )


def selective_risk(answered: Sequence[bool], wrong: Sequence[bool]) -> float | None:
    """answered and wrong / answered, in [0, 1]; None at zero answers. Any answer to an unanswerable question is wrong.

    Source: Geifman and El-Yaniv, NeurIPS 2017.
    """
    return _share([bad for given, bad in zip(answered, wrong, strict=True) if given])


def risk_coverage_curve(confidence: Sequence[float], wrong: Sequence[bool]) -> list[RiskPoint]:
    """One point a distinct confidence, strictest first; `wrong` says whether an answer would be wrong."""
    points, errors, kept, total = [], 0, 0, len(confidence)
    for threshold, block in groupby(_by_confidence(confidence, wrong), key=lambda row: row[0]):
        losses = [loss for _, loss in block]
        errors, kept = errors + sum(losses), kept + len(losses)
        points.append(RiskPoint(threshold, kept / total, errors / kept))
    return points


def aurc(confidence: Sequence[float], wrong: Sequence[bool]) -> float | None:
    """(1/n) sum_i (1/i) sum_{j<=i} loss_j by falling confidence, in [0, 1], lower is better; None without asks.

    Within ties every order is as likely, so each tied loss is the block's mean. Source: Geifman, Uziel and El-Yaniv,
    ICLR 2019.
    """
    losses = _expected_losses(confidence, wrong)
    if not losses:
        return None
    running, total = 0.0, 0.0
    for kept, loss in enumerate(losses, start=1):
        running += loss
        total += running / kept
    return total / len(losses)


def excess_aurc(confidence: Sequence[float], wrong: Sequence[bool]) -> float | None:
    """AURC - (r + (1 - r) ln(1 - r)), r the overall error rate: what is lost to imperfect ordering; about >= 0.

    At r = 1 the subtrahend is 1. Source: Geifman, Uziel and El-Yaniv, ICLR 2019.
    """
    area = aurc(confidence, wrong)
    if area is None:
        return None
    rate = sum(wrong) / len(wrong)
    return area - (rate + (1 - rate) * math.log(1 - rate) if rate < 1 else 1.0)


def augrc(confidence: Sequence[float], wrong: Sequence[bool]) -> float | None:
    """(1/n) sum_i (1/n) sum_{j<=i} loss_j by falling confidence, in [0, 0.5 (1 + 1/n)], lower is better.

    The joint risk of being answered and wrong, averaged over thresholds; steadier than AURC. None without asks.
    Source: Traub et al., NeurIPS 2024.
    """
    losses = _expected_losses(confidence, wrong)
    n = len(losses)
    return sum(loss * (n - place) for place, loss in enumerate(losses)) / n**2 if n else None


def answer_rate_at_risk(confidence: Sequence[float], wrong: Sequence[bool], risk: float) -> float:
    """The greatest answer rate of any threshold whose risk is at most `risk`, in [0, 1]; 0 if there is none.

    Computed on the labels themselves: what an oracle could reach, not what may be promised.
    """
    return max(
        (point.answer_rate for point in risk_coverage_curve(confidence, wrong) if point.risk <= risk), default=0.0
    )


def _by_confidence(confidence: Sequence[float], wrong: Sequence[bool]) -> list[tuple[float, bool]]:
    return sorted(zip(confidence, wrong, strict=True), key=lambda row: -row[0])


def _expected_losses(confidence: Sequence[float], wrong: Sequence[bool]) -> list[float]:
    losses: list[float] = []
    for _, block in groupby(_by_confidence(confidence, wrong), key=lambda row: row[0]):
        tied = [loss for _, loss in block]
        losses += [sum(tied) / len(tied)] * len(tied)
    return losses


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
