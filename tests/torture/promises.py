"""What may be there after a kill, by the journal: what was promised must be, what was only begun may be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, select

from ingest.catalogue import schema

ABSENT = None
Bytes = str | None
"""SHA-256 of the document's bytes, or `ABSENT`."""


@dataclass(slots=True)
class Promise:
    """The bytes of which one must be the document's; `live` unless its upload may have been cancelled."""

    possible: set[Bytes] = field(default_factory=lambda: {ABSENT})
    live: bool = True


def read_promises(path: Path) -> dict[str, Promise]:
    """The promises as of the journal's end, by document id."""
    promises: dict[str, Promise] = {}
    for deed, moment, documents in _entries(path):
        for document_id, sha256 in documents.items():
            promise = promises.setdefault(document_id, Promise())
            if deed == "cancel":
                promise.live = False
            elif moment == "begun":
                promise.possible.add(sha256)
            else:
                promise.possible, promise.live = {sha256}, True
    return promises


def _entries(path: Path) -> Iterator[tuple[str, str, dict[str, Bytes]]]:
    if path.exists():
        yield from map(json.loads, path.read_text().splitlines())


def check_promises(connection: Connection, promises: dict[str, Promise]) -> None:
    """Every document is what it was promised to be."""
    for document_id, promise in promises.items():
        found = _bytes_of(connection, document_id, live=promise.live)
        assert found & promise.possible, (document_id, promise, found)


def _bytes_of(connection: Connection, document_id: str, *, live: bool) -> set[Bytes]:
    """SHA-256 of the document's live version; where it need not be live, of its newest one too."""
    documents, versions = schema.documents, schema.versions
    query = select(documents).where(documents.c.document_id == document_id, documents.c.tombstoned_at.is_(None))
    document = connection.execute(query).one_or_none()
    if document is None:
        return {ABSENT}
    rows = connection.execute(
        select(versions.c.pk, versions.c.sha256)
        .where(versions.c.document_pk == document.pk)
        .order_by(versions.c.version.desc())
    ).all()
    found: set[Bytes] = {row.sha256 for row in rows if row.pk == document.live_version_pk}
    return found if live else found | {rows[0].sha256}
