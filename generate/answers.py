"""Answers as they are kept: each with its trace, so that it can be explained and replayed; redacted when evidence is
deleted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, func, insert, select, update

from generate.answer import Answer
from generate.schema import answer_documents, answers
from ingest.catalogue import Catalogue
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

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def save(
        self,
        answer: Answer,
        trace: Mapping[str, Any],
        *,
        collection_pk: int,
        key_id: str | None,
        document_pks: Sequence[int],
    ) -> None:
        """Keep the answer; `document_pks` are all documents whose text it or its trace contains."""
        body = json.loads(_ANSWER.dump_json(answer))
        cited = {citation.document_pk for citation in answer.citations}

        def change(connection: Connection) -> None:
            key = connection.execute(
                insert(answers).values(
                    answer_id=answer.answer_id,
                    collection_pk=collection_pk,
                    key_id=key_id,
                    conversation_id=answer.conversation_id,
                    status=answer.status,
                    question=answer.question,
                    fingerprint=answer.fingerprint,
                    body=body,
                    trace=dict(trace),
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
        if row is None:
            raise NotFound(f"answer {answer_id[:80]!r} does not exist", code="answer_not_found")
        if row.redacted_at is not None:
            raise Gone("a document that this answer rests on was deleted, and the answer with it")
        return StoredAnswer(row.pk, _ANSWER.validate_python(row.body), row.trace, row.collection_pk, row.key_id)


def redact_answers(connection: Connection, document_pks: Sequence[int]) -> int:
    """Empty every answer whose text or trace holds something of these documents; returns how many. For deletion."""
    touched = select(answer_documents.c.answer_pk).where(answer_documents.c.document_pk.in_(document_pks))
    open_ones = answers.c.pk.in_(touched) & answers.c.redacted_at.is_(None)
    count = connection.execute(select(func.count()).select_from(answers).where(open_ones)).scalar_one()
    connection.execute(update(answers).where(open_ones).values(question=None, body=None, trace=None, redacted_at=now()))
    return int(count)


def as_json(value: Any) -> Any:
    """A dataclass (or nest of them) as plain JSON values, for a trace."""
    return json.loads(json.dumps(asdict(value)))
