"""The review of drafts: a person's word on each, kept in the draft's `meta`, which no run looks at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from eval.question_sets import EvaluationQuestion, QuestionSet

NEEDS_ANSWER = "(the right answer)"
"""Stands for an answer that nobody has given yet."""

Verdict = Literal["accepted", "rejected"]


def is_pending(question: EvaluationQuestion) -> bool:
    """Whether it is a draft that nobody has looked at, or one whose answer is still missing."""
    return question.meta.get("review") == "pending" or NEEDS_ANSWER in question.answers


def reviewed(question: EvaluationQuestion, verdict: Verdict, *, answer: str | None = None) -> EvaluationQuestion:
    """The draft with a verdict, and where one was missing with its answer."""
    changes: dict[str, Any] = {"meta": {**question.meta, "review": verdict}}
    if answer:
        changes["answers"] = (answer,)
    return question.model_copy(update=changes)


def accepted(questions: Iterable[EvaluationQuestion]) -> QuestionSet:
    """What may be asked: everything but pending and rejected drafts."""
    kept = [one for one in questions if not is_pending(one) and one.meta.get("review") != "rejected"]
    return QuestionSet(tuple(kept))


def counts(questions: Iterable[EvaluationQuestion]) -> Mapping[str, int]:
    """How many are pending, accepted and rejected."""
    found = {"pending": 0, "accepted": 0, "rejected": 0}
    for one in questions:
        found["pending" if is_pending(one) else str(one.meta.get("review", "accepted"))] += 1
    return found
