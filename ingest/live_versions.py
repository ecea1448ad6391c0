"""Making prepared versions live: text, chunks, vectors, facts and links of many documents in a few statements.

A statement costs far more than a row of it, and others wait for the writer thread meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from ingest.catalogue import schema
from ingest.chunk_rows import VersionChunks, store_chunks
from ingest.clock import now
from ingest.collections import Collection
from ingest.credibility import NEW_TEXT_DUE, Credibility, freshness, mark_supported, source_prior
from ingest.index_log import append_changes
from ingest.models import FloatArray
from ingest.near_duplicates import Newcomer, link
from ingest.parsing.document import ParsedDocument
from ingest.prepared import Prepared, Task


@dataclass(frozen=True, slots=True)
class Accepted:
    """A version that is to be live: what was made of it, its row of `documents`, and the vectors of its chunks."""

    prepared: Prepared
    document: Row[Any]
    vectors: FloatArray

    @property
    def task(self) -> Task:
        return self.prepared.task

    @property
    def parsed(self) -> ParsedDocument:
        assert self.prepared.parsed is not None
        return self.prepared.parsed

    @property
    def retired(self) -> int | None:
        """The key of the version that it replaces."""
        return None if self.document.live_version_pk is None else int(self.document.live_version_pk)

    @property
    def newcomer(self) -> Newcomer:
        assert self.prepared.signature is not None
        return Newcomer(self.document.pk, self.task.version_pk, self.prepared.signature)


def make_live(
    connection: Connection, collection: Collection, batch: Sequence[Accepted], half_life_days: float
) -> list[int]:
    """Put the versions in place of the live ones of their documents (each comes once); returns the seqs of the changes,
    in the order of the batch.
    """
    if not batch:
        return []
    _store_versions(connection, batch)
    store_chunks(
        connection,
        collection.live_generation.pk,
        [VersionChunks(one.task.version_pk, one.parsed.text, one.prepared.chunks, one.vectors) for one in batch],
    )
    _retire(connection, batch)
    _store_documents(connection, collection, batch, half_life_days)
    mark_supported(connection, [one.document.pk for one in batch if one.retired is not None])
    link(connection, collection.pk, [one.newcomer for one in batch])
    return append_changes(connection, collection.pk, [(one.task.version_pk, one.retired) for one in batch])


def _store_versions(connection: Connection, batch: Sequence[Accepted]) -> None:
    """Text (that of a corpus line is stored already) and facts; `source_metadata` where there is something new."""
    texts = [{"version_pk": one.task.version_pk, "text": one.parsed.text} for one in batch if not one.task.is_line]
    if texts:
        connection.execute(insert(schema.version_texts), texts)
    _update(connection, schema.versions, [_version_values(one) for one in batch])
    facts = [
        {"key": one.task.version_pk, "source_metadata": dict(one.prepared.facts)} for one in batch if one.prepared.facts
    ]
    _update(connection, schema.versions, facts)


def _version_values(one: Accepted) -> dict[str, Any]:
    parsed, day = one.parsed, one.prepared.document_date
    return {
        "key": one.task.version_pk,
        "state": "live",
        "title": one.prepared.title,
        "language": one.prepared.language,
        "pages": len(parsed.pages) or None,
        "page_spans": [[page.number, page.start, page.end] for page in parsed.pages],
        "headings": [[heading.level, heading.title, heading.start] for heading in parsed.headings],
        "chars": len(parsed.text),
        "document_date": day.isoformat() if day else None,
        "quality": parsed.quality,
        "parser": parsed.parser,
        "live_at": now(),
    }


def _retire(connection: Connection, batch: Sequence[Accepted]) -> None:
    """What was live is history, and so is what failed before."""
    versions, moment = schema.versions, now()
    replaced = [{"key": one.retired, "state": "retired", "retired_at": moment} for one in batch if one.retired]
    _update(connection, versions, replaced)
    newest = {one.document.pk: one.task.version_pk for one in batch}
    failed = select(versions.c.pk, versions.c.document_pk).where(
        versions.c.document_pk.in_(list(newest)), versions.c.state == "failed", versions.c.retired_at.is_(None)
    )
    rows = connection.execute(failed).all()
    older = [{"key": row.pk, "retired_at": moment} for row in rows if row.pk < newest[row.document_pk]]
    _update(connection, versions, older)


def _store_documents(
    connection: Connection, collection: Collection, batch: Sequence[Accepted], half_life_days: float
) -> None:
    """Which version is live, and what filters and ranking read of it."""
    today, moment = datetime.now(UTC).date(), now()
    rows = []
    for one in batch:
        credibility = Credibility(
            source=source_prior(collection.source_priors, one.task.document_id, one.task.metadata),
            freshness=freshness(one.prepared.document_date, today, half_life_days),
            corroboration=one.document.credibility_corroboration,
            feedback=one.document.credibility_feedback,
            extraction=one.parsed.quality,
        )
        rows.append(
            {
                "key": one.document.pk,
                "live_version_pk": one.task.version_pk,
                "status": "indexing" if one.retired is None else "ready",
                "updated_at": moment,
                "title": one.prepared.title,
                "language": one.prepared.language,
                "media_type": one.task.media_type,
                "error_code": None,
                "error_message": None,
                "credibility": credibility.score,
                "credibility_source": credibility.source,
                "credibility_freshness": credibility.freshness,
                "credibility_extraction": credibility.extraction,
                "credibility_due": NEW_TEXT_DUE,
            }
        )
    _update(connection, schema.documents, rows)


def _update(connection: Connection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Set the columns of each row, which all name the same, in the row whose `pk` is its `key`."""
    if rows:
        columns: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "key"}
        connection.execute(update(table).where(table.c.pk == bindparam("key")).values(columns), list(rows))
