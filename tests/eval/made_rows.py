"""Rows of evaluations made by hand, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from eval.rows import EvaluationRow


def row(question_id: str = "q", replicate: int = 0, **fields: Any) -> EvaluationRow:
    """A row; by default an answerable question that was answered rightly, on evidence that was found."""
    values: dict[str, Any] = {
        "phrasing": 0,
        "question": "?",
        "answerable": True,
        "cluster": question_id,
        "language": None,
        "tags": (),
        "decision": "answer",
        "status": "answered",
        "reason": None,
        "success": True,
        "correct": True,
        "retrieval_coverage": 1.0,
        "evidence_found": True,
        "reciprocal_rank": 1.0,
        "claims": 1,
        "supported": 1,
        "evidence_whole": True,
        "exact_match": 1.0,
        "token_f1": 1.0,
        "confidence": 0.9,
        "threshold": 0.5,
        "answer": "It is 7.",
        "short_answer": "7",
        "answer_id": None,
        "retrieved": ("a.txt@0-10#00000000",),
        "top_score": 1.0,
        "citations": (),
        "error_code": None,
        "total_ms": 10.0,
        "process": "start_1",
        "asked_at": "2025-01-01T00:00:00.000000Z",
    }
    return EvaluationRow(question_id=question_id, replicate=replicate, **{**values, **fields})


WRONG = {"success": False, "correct": False, "short_answer": "8"}
REFUSED = {
    "decision": "refuse", "status": "refused", "reason": "low_confidence", "success": False, "correct": False,
    "claims": None, "supported": None, "evidence_whole": None, "answer": None, "short_answer": None, "confidence": 0.2,
}  # fmt: skip
FAILED = {
    **REFUSED, "decision": "error", "status": None, "reason": None, "confidence": None, "error_code": "overloaded",
    "retrieval_coverage": 0.0, "evidence_found": False, "retrieved": (),
}  # fmt: skip


def run(
    questions: int, replicates: int, change: Callable[[int, int], dict[str, Any]] = lambda q, r: {}, *, starts: int = 1
) -> list[EvaluationRow]:
    """`replicates` rows of each question, spread over `starts`; `change(question, replicate)` gives other fields."""
    return [
        row(f"q{q}", r, **{"process": f"start_{r % starts}", **change(q, r)}) for q, r in _pairs(questions, replicates)
    ]


def _pairs(questions: int, replicates: int) -> Iterable[tuple[int, int]]:
    return ((q, r) for q in range(questions) for r in range(replicates))
