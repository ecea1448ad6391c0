"""Conversations: the turns of one key under one name, kept as the answers that were given, for a time.

A turn lends later questions its words, never its evidence or its permissions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from generate.schema import answers
from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future
from ingest.errors import NotFound


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with what was answered; all but the id and the time are None after a deletion took them."""

    answer_id: str
    collection: str
    question: str | None
    question_used: str | None
    status: str
    answer: str | None
    created_at: str


class Conversations:
    """Finds and deletes turns. A conversation belongs to the key that asked; the same name means another one to
    another key.
    """

    def __init__(self, catalogue: Catalogue, *, ttl_s: float, history_turns: int, history_chars: int) -> None:
        self._catalogue = catalogue
        self._ttl_s = ttl_s
        self._history_turns = history_turns
        self._history_chars = history_chars

    def questions_before(self, conversation_id: str, *, collection_pk: int, key_id: str | None) -> Sequence[str]:
        """The latest questions in this collection as they were made to stand alone, oldest first, within the budget of
        turns and characters.
        """
        query = (
            select(answers.c.body)
            .where(self._own(conversation_id, key_id), answers.c.collection_pk == collection_pk)
            .where(answers.c.redacted_at.is_(None))
            .order_by(answers.c.pk.desc())
            .limit(self._history_turns)
        )
        with self._catalogue.read() as connection:
            found = [str(body["question_used"]) for body in connection.execute(query).scalars()]
        return within_budget(found[::-1], turns=self._history_turns, chars=self._history_chars)

    def turns(self, conversation_id: str, *, key_id: str | None) -> list[Turn]:
        """All turns, oldest first. Raises `NotFound` (`conversation_not_found`)."""
        collections = schema.collections
        query = (
            select(answers, collections.c.name)
            .join(collections, collections.c.pk == answers.c.collection_pk)
            .where(self._own(conversation_id, key_id))
            .order_by(answers.c.pk)
        )
        with self._catalogue.read() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise _not_found(conversation_id)
        return [
            Turn(
                answer_id=row.answer_id,
                collection=row.name,
                question=row.question,
                question_used=row.body["question_used"] if row.body else None,
                status=row.status,
                answer=row.body["text"] if row.body else None,
                created_at=row.created_at,
            )
            for row in rows
        ]

    def delete(self, conversation_id: str, *, key_id: str | None) -> int:
        """Delete every turn, with its answer and trace; returns how many. Raises `NotFound`."""

        def change(connection: Connection) -> int:
            return connection.execute(delete(answers).where(self._own(conversation_id, key_id))).rowcount

        deleted = self._catalogue.write(change)
        if not deleted:
            raise _not_found(conversation_id)
        return deleted

    def _own(self, conversation_id: str, key_id: str | None) -> ColumnElement[bool]:
        """The turns of this key that are not expired: a conversation ends when nothing was asked for a time."""
        own = and_(answers.c.conversation_id == conversation_id, answers.c.key_id.is_not_distinct_from(key_id))
        latest = select(func.max(answers.c.created_at)).where(own).scalar_subquery()
        return and_(own, latest >= in_future(-self._ttl_s))


def within_budget(questions: Sequence[str], *, turns: int, chars: int) -> list[str]:
    """The latest of `questions` (oldest first) that fit into the budget of turns and characters, oldest first."""
    kept: list[str] = []
    for text in reversed(questions[-turns:]):
        if sum(map(len, kept)) + len(text) > chars:
            break
        kept.append(text)
    return kept[::-1]


def _not_found(conversation_id: str) -> NotFound:
    return NotFound(
        f"conversation {conversation_id[:64]!r} does not exist, or is over; ask with this conversation_id to begin it",
        code="conversation_not_found",
    )
