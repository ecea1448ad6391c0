"""The index-change log: what `ingest` commits and `retrieve` applies, in order.

A row says that a version joins the index of its collection, or leaves it, or (a replacement) both at once. A row may
concern one generation only: a re-index gives versions that are live already the chunks of a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, func, insert, select

from ingest.catalogue import schema
from ingest.clock import now


@dataclass(frozen=True, slots=True)
class IndexChange:
    """One row of the log; `seq` ascends over all collections."""

    seq: int
    add_version: int | None
    retire_version: int | None


class IndexProgress(Protocol):
    """How far the published index of a collection has come; implemented by `retrieve`."""

    def published(self, collection_pk: int) -> int:
        """The seq of the snapshot that searches of the live generation see now; 0 before the first."""
        ...

    def notify(self, collection_pk: int) -> None:
        """The log of the collection has grown."""
        ...

    def wait(self, collection_pk: int, seq: int, timeout_s: float) -> bool:
        """Wait until `published` has reached `seq`; False after `timeout_s`."""
        ...


def append_change(
    connection: Connection, collection_pk: int, *, add: int | None, retire: int | None, generation_pk: int | None = None
) -> int:
    """Write one row in the transaction that makes the change; returns its seq."""
    return append_changes(connection, collection_pk, [(add, retire)], generation_pk=generation_pk)[0]


def append_changes(
    connection: Connection,
    collection_pk: int,
    changes: Sequence[tuple[int | None, int | None]],
    *,
    generation_pk: int | None = None,
) -> list[int]:
    """Write a row for each pair of versions (added, retired) in the transaction that makes the changes.

    Returns their seqs, ascending in the order of the pairs.
    """
    table, moment = schema.index_change, now()
    rows = [
        {
            "collection_pk": collection_pk,
            "add_version_pk": add,
            "retire_version_pk": retire,
            "generation_pk": generation_pk,
            "created_at": moment,
        }
        for add, retire in changes
    ]
    statement = insert(table).returning(table.c.seq, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars()) if rows else []


def changes_after(
    connection: Connection, collection_pk: int, seq: int, generation_pk: int | None = None
) -> list[IndexChange]:
    """Rows with a greater seq, ascending: those of the whole collection, and those of the generation."""
    table = schema.index_change
    query = select(table).where(table.c.seq > seq, _concerns(collection_pk, generation_pk)).order_by(table.c.seq)
    return [IndexChange(row.seq, row.add_version_pk, row.retire_version_pk) for row in connection.execute(query)]


def latest_seq(connection: Connection, collection_pk: int, generation_pk: int | None = None) -> int:
    """The greatest seq of those rows; 0 when there are none."""
    query = select(func.max(schema.index_change.c.seq)).where(_concerns(collection_pk, generation_pk))
    return int(connection.execute(query).scalar() or 0)


def _concerns(collection_pk: int, generation_pk: int | None) -> ColumnElement[bool]:
    table = schema.index_change
    whole = table.c.generation_pk.is_(None)
    concerned = whole if generation_pk is None else whole | (table.c.generation_pk == generation_pk)
    return (table.c.collection_pk == collection_pk) & concerned
