"""Comparing a folder with a collection by hashes: what is new, changed, the same, or no longer in the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from ingest.catalogue import schema
from ingest.collections import Collection
from ingest.documents.checks import check_document_id, check_origin, visible

_IDS_PER_QUERY = 500
_HOPELESS = frozenset(
    {
        "broken_document",
        "empty_document",
        "empty_file",
        "no_text_layer",
        "password_required",
        "too_large",
        "unsupported_media_type",
        "wrong_password",
    }
)
"""Why a document failed when the same bytes would fail again."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ids of documents, each in one of the groups, in the order of the folder.

    `update` have other bytes, or failed for a reason that may have passed; `adopt` have the folder's bytes but came
    another way, and are the folder's once they are sent; `failed` cannot be read, and are the same file still; `remove`
    came from the folder and are no longer in it; `conflicts` belong to another folder, or are hidden from the caller.
    """

    add: tuple[str, ...]
    update: tuple[str, ...]
    adopt: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[str, ...]
    remove: tuple[str, ...]
    conflicts: tuple[str, ...]


def compare(
    connection: Connection,
    collection: Collection,
    origin: str,
    hashes: Mapping[str, str],
    *,
    tags: frozenset[str] | None,
) -> Comparison:
    """Compare the files of folder `origin`, as SHA-256 (hex) by document id, with what a holder of `tags` may see.

    Raises `InvalidInput` for an id or origin that cannot be one.
    """
    check_origin(origin)
    for document_id in hashes:
        check_document_id(document_id)
    present = {row.document_id: row for row in _present(connection, collection, origin, list(hashes), tags)}
    newest = _newest_hashes(connection, [row.pk for row in present.values()])
    groups: dict[str, list[str]] = {name: [] for name in Comparison.__dataclass_fields__}
    for document_id, sha256 in hashes.items():
        row = present.get(document_id)
        groups["add" if row is None else _group(row, origin, sha256, newest[row.pk])].append(document_id)
    gone = [row for row in present.values() if row.document_id not in hashes and row.seen]
    groups["remove"] = [row.document_id for row in gone]
    return Comparison(**{name: tuple(ids) for name, ids in groups.items()})


def _group(row: Row[Any], origin: str, sha256: str, newest: tuple[str, str]) -> str:
    if not row.seen or row.origin not in (None, origin):
        return "conflicts"
    newest_sha256, state = newest
    if newest_sha256 != sha256:
        return "update"
    if state == "failed":
        return "failed" if row.error_code in _HOPELESS else "update"
    return "unchanged" if row.origin == origin else "adopt"


def _present(
    connection: Connection, collection: Collection, origin: str, ids: Sequence[str], tags: frozenset[str] | None
) -> list[Row[Any]]:
    """Documents of the folder, and others with the id of one of its files; `seen`: the caller may see it."""
    table = schema.documents
    query = select(
        table.c.pk, table.c.document_id, table.c.origin, table.c.error_code, visible(tags).label("seen")
    ).where(table.c.collection_pk == collection.pk, table.c.tombstoned_at.is_(None))
    rows = list(connection.execute(query.where(table.c.origin == origin).order_by(table.c.pk)))
    for start in range(0, len(ids), _IDS_PER_QUERY):
        page = table.c.document_id.in_(ids[start : start + _IDS_PER_QUERY])
        foreign = or_(table.c.origin.is_(None), table.c.origin != origin)
        rows += connection.execute(query.where(page, foreign))
    return rows


def _newest_hashes(connection: Connection, keys: Sequence[int]) -> dict[int, tuple[str, str]]:
    """SHA-256 and state of the newest version of each document."""
    versions = schema.versions
    newest: dict[int, tuple[str, str]] = {}
    for start in range(0, len(keys), _IDS_PER_QUERY):
        query = (
            select(versions.c.document_pk, versions.c.sha256, versions.c.state)
            .where(versions.c.document_pk.in_(keys[start : start + _IDS_PER_QUERY]))
            .order_by(versions.c.document_pk, versions.c.version)
        )
        newest.update({row.document_pk: (row.sha256, row.state) for row in connection.execute(query)})
    return newest
