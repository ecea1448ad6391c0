"""The nightly check of a certificate: fresh labels bet against its promise, and what they refute is void.

The stake is an e-process: while at most `risk` of the answers are wrong it does not grow on average, whenever one stops
to look, so reaching 1 / delta refutes the promise at the level at which it was made (Ville's inequality; Waudby-Smith
and Ramdas, JRSS B 2024). EVALUATION, section 4, step 10.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from eval.evaluations import Evaluation, Evaluations
from eval.nights import nights_before
from eval.question_sets import CALIBRATION_POOL, EvaluationQuestion
from eval.rows import EvaluationRow
from generate.policy import Certificates
from ingest.errors import NotFound

_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Of 1 / risk, the greatest bet that cannot lose more than there is; a mixture needs no tuning."""


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """`labels` fresh answers with `wrong` ones since the certificate was issued, and the stake that they make."""

    certificate_id: str
    labels: int
    wrong: int
    stake: float
    refuted: bool


def check_certificate(
    certificates: Certificates, evaluations: Evaluations, night: Evaluation, questions: Sequence[EvaluationQuestion]
) -> CertificateCheck | None:
    """Hold the valid certificate of the night's pipeline to the labels of all nights since; void it if they refute it.

    None where there is no valid certificate, or no question of which it can be said that its label is fresh.
    """
    fresh = fresh_questions(questions)
    try:
        certificate = certificates.latest(night.collection_pk, fingerprint=night.fingerprint)
    except NotFound:
        return None
    if certificate.state != "valid" or certificate.threshold is None or not fresh:
        return None
    earlier = nights_before(evaluations, night, since=certificate.created_at)
    nights = [*(run for run in earlier if run.fingerprint == night.fingerprint), night]
    wrong = list(fresh_labels((evaluations.iterate_rows(one) for one in nights), fresh, certificate.threshold))
    stake = stake_against(wrong, certificate.risk)
    check = CertificateCheck(
        certificate.certificate_id, len(wrong), sum(wrong), stake, stake >= 1 / (1 - certificate.confidence)
    )
    if check.refuted:
        certificates.void(certificate.certificate_id, told(check, certificate.risk))
    return check


def told(check: CertificateCheck, risk: float) -> str:
    """The refutation in words."""
    return (
        f"{check.wrong} of {check.labels} fresh answers were wrong, which refutes the promised {risk:.0%} "
        f"(e = {check.stake:.0f}): calibrate again"
    )


def stake_against(wrong: Sequence[bool], risk: float) -> float:
    """E = mean over bets lambda of prod (1 + lambda (w - risk)), lambda a share of 1 / risk; 1 without labels."""
    losses = np.array(wrong, dtype=np.float64) - risk
    factors = 1 + np.outer(np.array(_SHARES) / risk, losses)
    return float(factors.prod(axis=1).mean())


def fresh_questions(questions: Iterable[EvaluationQuestion]) -> frozenset[str]:
    """Ids of the questions of pools other than the calibration's, without those that share a cluster with it.

    Where a set names no pools all of it may have been calibrated on.
    """
    known = list(questions)
    spent = {question.cluster_id for question in known if question.pool == CALIBRATION_POOL}
    return frozenset(q.id for q in known if q.pool not in (None, CALIBRATION_POOL) and q.cluster_id not in spent)


def fresh_labels(nights: Iterable[Iterable[EvaluationRow]], fresh: Set[str], threshold: float) -> Iterator[bool]:
    """Whether answers at the threshold were wrong: each cluster once, on the first night that it was answered.

    Asking a question again says nothing new of how often answers are wrong.
    """
    seen: set[str] = set()
    for rows in nights:
        for row in rows:
            first = row.phrasing == 0 and row.replicate == 0 and row.cluster not in seen
            answered = row.decision == "answer" and (row.confidence or 0.0) >= threshold
            if first and answered and row.correct is not None and row.question_id in fresh:
                seen.add(row.cluster)
                yield not row.correct
