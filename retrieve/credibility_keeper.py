"""Keeps the credibility of documents up to date: works off the marks that changes leave, on a thread of its own.

It begins when nothing has been ingested for a moment, goes on in small steps with rests between them, and stands back
while documents come in.
Killed, it finds the marks at the next start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from ingest.catalogue import Catalogue, schema
from ingest.collections import load_collection_by_key
from ingest.credibility import (
    NEW_TEXT_DUE,
    SUPPORT_DUE,
    corroboration,
    count_due,
    mark,
    mark_dated,
    next_due,
    recompute,
)
from ingest.keeper import Keeper
from retrieve.corroboration import supporters_of
from retrieve.snapshots import Indexes

_LOOK_S = 2.0
_STAND_BACK_S = 30.0
_DOCUMENTS_AT_ONCE = 20
_SHARE_OF_TIME = 0.25
_FACTS_AT_ONCE = 500


class CredibilityKeeper(Keeper):
    """`statements` is the number of key statements a document is checked by; 0 leaves corroboration unknown."""

    def __init__(self, catalogue: Catalogue, indexes: Indexes, *, half_life_days: float, statements: int) -> None:
        super().__init__("credibility-keeper", every_s=_LOOK_S, first_after_s=_LOOK_S)
        self._catalogue = catalogue
        self._indexes = indexes
        self._half_life_days = half_life_days
        self._statements = statements
        self._day: date | None = None
        self._stood_back_s = 0.0
        self._stepping = threading.Lock()

    def settle(self) -> None:
        """Work off all marks now, for those who cannot wait."""
        while self._step():
            pass

    def waiting(self) -> int:
        """Documents whose credibility is still to be worked out, or worked out anew."""
        with self._catalogue.read() as connection:
            return count_due(connection)

    def tend(self) -> None:
        """Some steps, unless documents come in; those are not waited for without end."""
        if self._stood_back_s < _STAND_BACK_S and self._is_ingesting():
            self._stood_back_s += _LOOK_S
            return
        self._stood_back_s = 0.0
        while self._paced_step() and not self.is_closed and not self._is_ingesting():
            pass

    def _paced_step(self) -> bool:
        """A step, and a rest that is so long that questions are not slowed down by a large upload for minutes."""
        begun = time.monotonic()
        went_on = self._step()
        self.rest((time.monotonic() - begun) * (1 / _SHARE_OF_TIME - 1))
        return went_on

    def _is_ingesting(self) -> bool:
        jobs = schema.jobs
        query = select(jobs.c.pk).where(jobs.c.state.in_(("queued", "running")), jobs.c.kind == "ingest").limit(1)
        with self._catalogue.read() as connection:
            return connection.execute(query).first() is not None

    def _step(self) -> bool:
        """Some documents; whether there were any."""
        with self._stepping:
            today = datetime.now(UTC).date()
            if today != self._day:
                self._catalogue.write(mark_dated)
                self._day = today
            with self._catalogue.read() as connection:
                due = next_due(connection, _FACTS_AT_ONCE)
                texts = [row for row in due if row.credibility_due >= SUPPORT_DUE][:_DOCUMENTS_AT_ONCE]
                batch = texts or due
                support = {row.pk: self._support(connection, row) for row in texts} if self._statements else {}
            if batch:
                self._catalogue.write(lambda connection: self._record(connection, batch, support, today))
            return bool(batch)

    def _support(self, connection: Connection, row: Row[Any]) -> list[set[int]]:
        generation = load_collection_by_key(connection, row.collection_pk).live_generation
        lexical = self._indexes.snapshot(row.collection_pk, generation).lexical
        return supporters_of(connection, row.pk, lexical, statements=self._statements)

    def _record(
        self,
        connection: Connection,
        batch: Sequence[Row[Any]],
        support: Mapping[int, list[set[int]]],
        today: date,
    ) -> None:
        """Write what was found of documents that have not changed since; whom a new text supports, is marked."""
        unchanged = _unchanged(connection, batch)
        for row in unchanged:
            supporters = set().union(*support.get(row.pk, []))
            if row.pk in support:
                fresh = _replace_supporters(connection, row.pk, supporters)
                if row.credibility_due == NEW_TEXT_DUE:
                    mark(connection, schema.documents.c.pk.in_(fresh), SUPPORT_DUE)
        recompute(
            connection,
            [row.pk for row in unchanged],
            today=today,
            half_life_days=self._half_life_days,
            support={pk: corroboration([len(one) for one in found]) for pk, found in support.items()},
        )


def _unchanged(connection: Connection, batch: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Documents of the batch that still have the same live version and mark."""
    documents = schema.documents
    query = select(documents.c.pk, documents.c.live_version_pk, documents.c.credibility_due).where(
        documents.c.pk.in_([row.pk for row in batch]), documents.c.tombstoned_at.is_(None)
    )
    present = {(row.pk, row.live_version_pk, row.credibility_due) for row in connection.execute(query)}
    return [row for row in batch if (row.pk, row.live_version_pk, row.credibility_due) in present]


def _replace_supporters(connection: Connection, document_pk: int, supporters: set[int]) -> list[int]:
    """Record who supports a document; returns those that it is not recorded to support in turn."""
    table = schema.corroborations
    documents = schema.documents
    there = set(connection.execute(select(documents.c.pk).where(documents.c.pk.in_(supporters))).scalars())
    connection.execute(delete(table).where(table.c.document_pk == document_pk))
    if there:
        rows = [{"document_pk": document_pk, "supporter_pk": pk} for pk in sorted(there)]
        connection.execute(insert(table), rows)
    query = select(table.c.document_pk).where(table.c.supporter_pk == document_pk, table.c.document_pk.in_(there))
    return sorted(there - set(connection.execute(query).scalars()))
