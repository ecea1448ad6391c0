"""Answers as they are kept: each with its trace, so that it can be explained and replayed; redacted when evidence is
deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, func, insert, select, update

from generate.answer import Answer
from generate.redaction import Redaction
from generate.schema import answer_documents, answers
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.errors import Gone, NotFound

_ANSWER = TypeAdapter(Answer)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer with its trace, its collection and the key that asked."""

    pk: int
    answer: Answer
    trace: Mapping[str, Any]
    collection_pk: int
    key_id: str | None


class Answers:
    """Stores answers and finds them again."""

    def __init__(self, catalogue: Catalogue, redaction: Redaction | None = None) -> None:
        self._catalogue = catalogue
        self._redaction = redaction or Redaction()

    def save(
        self,
        answer: Answer,
        trace: Mapping[str, Any],
        *,
        collection_pk: int,
        key_id: str | None,
        document_pks: Sequence[int],
    ) -> None:
        """Keep the answer, masked; `document_pks` are all documents whose text it or its trace contains."""
        body = self._redaction.json(json.loads(_ANSWER.dump_json(answer)))
        cited = {citation.document_pk for citation in answer.citations}

        def change(connection: Connection) -> None:
            key = connection.execute(
                insert(answers).values(
                    answer_id=answer.answer_id,
                    collection_pk=collection_pk,
                    key_id=key_id,
                    conversation_id=answer.conversation_id,
                    status=answer.status,
                    question=body["question"],
                    fingerprint=answer.fingerprint,
                    body=body,
                    trace=self._redaction.json(dict(trace)),
                    created_at=answer.created_at,
                )
            ).inserted_primary_key
            assert key is not None
            rows = [
                {"answer_pk": key[0], "document_pk": pk, "cited": int(pk in cited)}
                for pk in sorted(set(document_pks) | cited)
            ]
            if rows:
                connection.execute(insert(answer_documents), rows)

        self._catalogue.write(change)

    def get(self, answer_id: str) -> StoredAnswer:
        """Raises `NotFound` (`answer_not_found`), and `Gone` (`evidence_deleted`) after a document it rests on was
        deleted.
        """
        with self._catalogue.read() as connection:
            row = connection.execute(select(answers).where(answers.c.answer_id == answer_id)).one_or_none()
            deleted = row is not None and _rests_on_deleted(connection, row.pk)
        if row is None:
            raise NotFound(f"answer {answer_id[:80]!r} does not exist", code="answer_not_found")
        if row.redacted_at is not None or deleted:
            raise Gone("a document that this answer rests on was deleted, and the answer with it")
        return StoredAnswer(row.pk, _ANSWER.validate_python(row.body), row.trace, row.collection_pk, row.key_id)

    def forget_before(self, moment: str) -> int:
        """Delete the answers given before `moment` (as `ingest.clock.now` writes it); returns how many."""
        old = delete(answers).where(answers.c.created_at < moment)
        return self._catalogue.write(lambda connection: connection.execute(old).rowcount)


def _rests_on_deleted(connection: Connection, answer_pk: int) -> bool:
    """Whether one of its documents is tombstoned: what is deleted is gone at once, not only when it is purged."""
    documents = schema.documents
    query = (
        select(documents.c.pk)
        .join(answer_documents, answer_documents.c.document_pk == documents.c.pk)
        .where(answer_documents.c.answer_pk == answer_pk, documents.c.tombstoned_at.is_not(None))
    )
    return connection.execute(query).first() is not None


def redact_answers(connection: Connection, document_pks: Sequence[int]) -> Mapping[str, int]:
    """Empty every answer whose text or trace holds something of these documents; returns how many, and how many of
    them were turns of conversations. For deletion.
    """
    touched = select(answer_documents.c.answer_pk).where(answer_documents.c.document_pk.in_(document_pks))
    open_ones = answers.c.pk.in_(touched) & answers.c.redacted_at.is_(None)
    counted = select(func.count(), func.count(answers.c.conversation_id)).select_from(answers).where(open_ones)
    count, turns = connection.execute(counted).one()
    connection.execute(update(answers).where(open_ones).values(question=None, body=None, trace=None, redacted_at=now()))
    return {"answers_redacted": int(count), "conversation_turns": int(turns)}


def as_json(value: Any) -> Any:
    """A dataclass (or nest of them) as plain JSON values, for a trace."""
    return json.loads(json.dumps(asdict(value)))
