"""What users say of answers: stored, and passed on to the credibility of the documents that were cited."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, insert

from generate.answers import StoredAnswer
from generate.schema import feedback
from ingest.catalogue import Catalogue
from ingest.clock import now
from ingest.credibility import observe

Verdict = Literal["correct", "incorrect", "should_refuse", "should_answer"]


def record_feedback(
    catalogue: Catalogue,
    answer: StoredAnswer,
    verdict: Verdict,
    *,
    expected: str | None,
    comment: str | None,
    key_id: str | None,
) -> None:
    """Store one judgement. `correct` and `incorrect` count for the cited documents; the other two judge the decision
    only.
    """

    def change(connection: Connection) -> None:
        connection.execute(
            insert(feedback).values(
                answer_pk=answer.pk,
                key_id=key_id,
                verdict=verdict,
                expected=expected,
                comment=comment,
                created_at=now(),
            )
        )
        if verdict in ("correct", "incorrect"):
            for document_pk in sorted({citation.document_pk for citation in answer.answer.citations}):
                observe(connection, document_pk, correct=verdict == "correct")

    catalogue.write(change)
