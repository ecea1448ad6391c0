"""The index-change log: what `ingest` commits and `retrieve` applies, in order.

A row says that a version joins the index of its collection, or leaves it, or (a replacement) both at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, func, insert, select

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


def append_change(connection: Connection, collection_pk: int, *, add: int | None, retire: int | None) -> int:
    """Write one row in the transaction that makes the change; returns its seq."""
    statement = insert(schema.index_change).values(
        collection_pk=collection_pk, add_version_pk=add, retire_version_pk=retire, created_at=now()
    )
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


def changes_after(connection: Connection, collection_pk: int, seq: int) -> list[IndexChange]:
    """Rows of the collection with a greater seq, ascending."""
    table = schema.index_change
    query = select(table).where(table.c.collection_pk == collection_pk, table.c.seq > seq).order_by(table.c.seq)
    return [IndexChange(row.seq, row.add_version_pk, row.retire_version_pk) for row in connection.execute(query)]


def latest_seq(connection: Connection, collection_pk: int) -> int:
    """The greatest seq of the collection; 0 when its log is empty."""
    table = schema.index_change
    query = select(func.max(table.c.seq)).where(table.c.collection_pk == collection_pk)
    return int(connection.execute(query).scalar() or 0)
