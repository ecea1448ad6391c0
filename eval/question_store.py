"""Question sets as they are kept: by name, each content under its hash; the last one put is the current one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from eval.question_sets import QuestionSet, dump_question_set, parse_question_set
from eval.schema import question_sets
from ingest.catalogue import Catalogue
from ingest.clock import now
from ingest.errors import InvalidInput, NotFound

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class StoredQuestionSet:
    """One version of a named set; `key_id` is whose key put it."""

    name: str
    sha256: str
    key_id: str | None
    questions: int
    body: str
    created_at: str

    def parsed(self) -> QuestionSet:
        return parse_question_set(self.body.splitlines())


class QuestionSets:
    """Stores question sets and finds them again."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def put(self, name: str, questions: QuestionSet, *, key_id: str | None) -> tuple[StoredQuestionSet, bool]:
        """Make this content the current version of `name`; returns it, and whether the content is new.

        Raises `InvalidInput` (`invalid_question_set_name`).
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"question set name {name[:120]!r} is not valid: 1 to 100 letters, digits, '.', '_' or '-', beginning"
                " with a letter or digit",
                code="invalid_question_set_name",
            )
        return self._catalogue.write(lambda connection: _put(connection, name, questions, key_id))

    def get(self, name: str, sha256: str | None = None) -> StoredQuestionSet:
        """The current version, or the one with this hash. Raises `NotFound` (`question_set_not_found`)."""
        with self._catalogue.read() as connection:
            row = _find(connection, name, sha256)
        if row is None:
            version = "" if sha256 is None else f" in version {sha256[:12]}"
            raise NotFound(
                f"question set {name[:120]!r} does not exist{version}; store it with PUT /v1/question_sets/{{name}}",
                code="question_set_not_found",
            )
        return _stored(row)

    def every(self) -> list[StoredQuestionSet]:
        """All versions of all sets."""
        with self._catalogue.read() as connection:
            return [_stored(row) for row in connection.execute(select(question_sets).order_by(question_sets.c.pk))]


def _put(
    connection: Connection, name: str, questions: QuestionSet, key_id: str | None
) -> tuple[StoredQuestionSet, bool]:
    moment = now()
    present = _find(connection, name, questions.sha256)
    if present is None:
        connection.execute(
            insert(question_sets).values(
                name=name,
                sha256=questions.sha256,
                key_id=key_id,
                questions=len(questions.questions),
                body=dump_question_set(questions),
                created_at=moment,
                put_at=moment,
            )
        )
    else:
        connection.execute(update(question_sets).where(question_sets.c.pk == present.pk).values(put_at=moment))
    row = _find(connection, name, questions.sha256)
    assert row is not None
    return _stored(row), present is None


def _find(connection: Connection, name: str, sha256: str | None) -> Row[Any] | None:
    query = select(question_sets).where(question_sets.c.name == name)
    if sha256 is not None:
        query = query.where(question_sets.c.sha256 == sha256)
    return connection.execute(query.order_by(question_sets.c.put_at.desc(), question_sets.c.pk.desc())).first()


def _stored(row: Row[Any]) -> StoredQuestionSet:
    return StoredQuestionSet(row.name, row.sha256, row.key_id, row.questions, row.body, row.created_at)
