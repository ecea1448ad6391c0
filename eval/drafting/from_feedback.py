"""Draft questions from what users said of answers: a queue for a person to review."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from eval.drafting.review import NEEDS_ANSWER
from eval.question_sets import EvaluationQuestion
from generate.answers import Answers, StoredAnswer
from generate.schema import answers, feedback
from ingest.catalogue import Catalogue
from ingest.collections import Collection
from ingest.errors import CitewellError

_QUESTION_CHARS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Judgement:
    """One judgement of an answer that is still there."""

    answer: StoredAnswer
    verdict: str
    expected: str | None
    comment: str | None
    created_at: str

    @property
    def question(self) -> str:
        """As it was used: on its own, with what a conversation added."""
        return self.answer.answer.question_used[:_QUESTION_CHARS_MAX]


def judgements(catalogue: Catalogue, stored: Answers, collection: Collection) -> Iterator[Judgement]:
    """Judgements other than `correct`, newest first, the last one of each answer; deleted answers are left out."""
    query = (
        select(feedback, answers.c.answer_id)
        .join(answers, answers.c.pk == feedback.c.answer_pk)
        .where(answers.c.collection_pk == collection.pk)
        .order_by(feedback.c.pk.desc())
    )
    with catalogue.read() as connection:
        rows = connection.execute(query).all()
    seen: set[str] = set()
    for row in rows:
        if row.answer_id in seen:
            continue
        seen.add(row.answer_id)
        if row.verdict == "correct":
            continue
        try:
            answer = stored.get(row.answer_id)
        except CitewellError:
            continue
        yield Judgement(answer, row.verdict, row.expected, row.comment, row.created_at)


def feedback_drafts(found: Iterator[Judgement]) -> Iterator[EvaluationQuestion]:
    """A draft a question; one that wants a right answer which nobody gave says so (`NEEDS_ANSWER`)."""
    seen: set[str] = set()
    for one in found:
        if not one.question.strip() or one.question in seen:
            continue
        seen.add(one.question)
        answerable = one.verdict != "should_refuse"
        yield EvaluationQuestion.model_validate(
            {
                "id": f"feedback-{hashlib.sha256(one.question.encode()).hexdigest()[:10]}",
                "question": one.question,
                "answerable": answerable,
                "answers": (one.expected or NEEDS_ANSWER,) if answerable else (),
                "tags": ("feedback", one.verdict.replace("_", "-")),
                "meta": {
                    "review": "pending",
                    "source": "feedback",
                    "answer_id": one.answer.answer.answer_id,
                    "answer": one.answer.answer.text,
                    "comment": one.comment,
                },
            }
        )
