"""Documents read from the catalogue: found by id, with the facts of the version that counts, and its text."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ingest.catalogue import schema
from ingest.collections import Collection
from ingest.credibility import Credibility
from ingest.documents.checks import visible
from ingest.documents.model import DocumentRecord, VersionText
from ingest.documents.versions import find_or_none
from ingest.errors import Gone, NotFound
from ingest.parsing.document import Page


def find(connection: Connection, collection: Collection, document_id: str) -> Row[Any]:
    row = find_or_none(connection, collection, document_id)
    if row is None:
        raise NotFound(
            f"collection {collection.name!r} has no document {document_id[:200]!r}", code="document_not_found"
        )
    return row


def find_version(
    connection: Connection,
    collection: Collection,
    document_id: str,
    version: int | None,
    *,
    any_state: bool = False,
) -> Row[Any]:
    document = find(connection, collection, document_id)
    table = schema.versions
    query = select(table).where(table.c.document_pk == document.pk)
    if version is not None:
        query = query.where(table.c.version == version)
    elif document.live_version_pk is not None:
        query = query.where(table.c.pk == document.live_version_pk)
    elif any_state:
        query = query.order_by(table.c.version.desc()).limit(1)
    else:
        raise NotFound(
            f"document {document_id[:200]!r} has no text: its status is {document.status}",
            code="text_not_available",
        )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"document {document_id[:200]!r} has no version {version}", code="version_not_found")
    return row


def load_record(
    connection: Connection, collection: Collection, row: Row[Any], tags: frozenset[str] | None
) -> DocumentRecord:
    versions, chunks = schema.versions, schema.chunks
    newest = select(versions).where(versions.c.document_pk == row.pk).order_by(versions.c.version.desc()).limit(1)
    if row.live_version_pk is not None:
        newest = select(versions).where(versions.c.pk == row.live_version_pk)
    version = connection.execute(newest).one()
    counted = select(func.count()).where(
        chunks.c.version_pk == version.pk, chunks.c.generation_pk == collection.live_generation.pk
    )
    own = select(schema.document_access.c.tag).where(schema.document_access.c.document_pk == row.pk)
    return DocumentRecord(
        pk=row.pk,
        document_id=row.document_id,
        version=version.version,
        live_version_pk=row.live_version_pk,
        title=version.title,
        media_type=version.media_type,
        filename=version.filename,
        sha256=version.sha256,
        bytes=version.bytes,
        pages=version.pages,
        chunks=connection.execute(counted).scalar_one(),
        language=version.language,
        access=tuple(connection.execute(own.order_by(schema.document_access.c.tag)).scalars()),
        origin=row.origin,
        parent_document_id=row.parent_document_id,
        duplicate_of=_duplicate_of(connection, row, tags),
        credibility=Credibility(
            row.credibility_source,
            row.credibility_freshness,
            row.credibility_corroboration,
            row.credibility_feedback,
            row.credibility_extraction,
        ),
        metadata=row.metadata,
        status=row.status,
        error_code=row.error_code,
        error_message=row.error_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _duplicate_of(connection: Connection, document: Row[Any], tags: frozenset[str] | None) -> str | None:
    """The id of the document that this one nearly repeats, where a holder of `tags` may see it."""
    if document.duplicate_of_pk is None:
        return None
    table = schema.documents
    query = select(table.c.document_id).where(
        table.c.pk == document.duplicate_of_pk, table.c.tombstoned_at.is_(None), visible(tags)
    )
    return connection.execute(query).scalar()


def load_version_text(connection: Connection, version_pk: int) -> VersionText:
    """The extracted text of a version by its key. Raises `Gone` when it was purged."""
    versions, texts, documents = schema.versions, schema.version_texts, schema.documents
    query = (
        select(versions, texts.c.text, documents.c.document_id)
        .select_from(
            versions.join(texts, texts.c.version_pk == versions.c.pk).join(
                documents, documents.c.pk == versions.c.document_pk
            )
        )
        .where(versions.c.pk == version_pk)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Gone("the text of this version was deleted, or could never be extracted")
    return VersionText(
        document_id=row.document_id,
        version=row.version,
        version_pk=row.pk,
        text=row.text,
        pages=tuple(Page(*page) for page in row.page_spans),
        title=row.title,
        document_date=date.fromisoformat(row.document_date) if row.document_date else None,
    )
