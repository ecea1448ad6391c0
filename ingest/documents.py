"""Documents as callers see them: submitting, looking up, listing, reading text and originals.

Submitting only records: the blob lies in the store, and one transaction creates the documents (visible from then on),
their pending versions and the job that will process them.
"""

from __future__ import annotations

import json
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, insert, not_, or_, select, true, update

from ingest.blobs import Blob, BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.clock import now
from ingest.collections import Collection
from ingest.corpus import CORPUS_MEDIA_TYPES, CorpusLine
from ingest.credibility import Credibility
from ingest.errors import CitewellError, Gone, InvalidInput, NotFound, Unavailable
from ingest.jobs import settle_job_counts
from ingest.parsing.document import Page

ID_CHARS_MAX = 400
RESERVED_ENDINGS = ("/text", "/content")
_ACCESS_TAG_CHARS_MAX = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """One file handed in. `problem` is set when it cannot be read at all: it is recorded as failed beside good ones."""

    document_id: str
    filename: str
    media_type: str
    blob: Blob
    metadata: Mapping[str, Any] = field(default_factory=dict)
    access: Sequence[str] | None = None
    password: str | None = field(default=None, repr=False)
    parent_document_id: str | None = None
    problem: CitewellError | None = None


@dataclass(frozen=True, slots=True)
class SubmittedDocument:
    """What became of one upload: `queued`, `unchanged` (same bytes as the live version) or `failed`."""

    document_id: str
    filename: str
    status: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A recorded upload; `job_id` is there also when everything was unchanged (the job has then succeeded)."""

    job_id: str
    documents: tuple[SubmittedDocument, ...]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document with the facts of its live version, or of its newest one while none is live.

    `duplicate_of` names the oldest live document of the collection with the same bytes, if that is another one.
    """

    pk: int
    document_id: str
    version: int
    live_version_pk: int | None
    title: str | None
    media_type: str
    filename: str
    sha256: str
    bytes: int
    pages: int | None
    chunks: int
    language: str | None
    access: tuple[str, ...]
    parent_document_id: str | None
    duplicate_of: str | None
    credibility: Credibility
    metadata: Mapping[str, Any]
    status: str
    error_code: str | None
    error_message: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class VersionText:
    """The extracted text of one version, with the pages its offsets fall on."""

    document_id: str
    version: int
    version_pk: int
    text: str
    pages: tuple[Page, ...]
    title: str | None
    document_date: date | None


@dataclass(frozen=True, slots=True)
class Original:
    """The stored original: a file, or (for a corpus line) its canonical JSON in memory."""

    media_type: str
    filename: str
    path: Path | None
    data: bytes | None


def check_document_id(document_id: str) -> str:
    """Returns the id. Raises `InvalidInput` unless it has 1 to 400 characters, none of them control characters."""
    if not 1 <= len(document_id) <= ID_CHARS_MAX:
        raise InvalidInput(
            f"a document id has 1 to {ID_CHARS_MAX} characters, this one has {len(document_id)}",
            code="invalid_document_id",
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in document_id):
        raise InvalidInput("a document id has no control characters", code="invalid_document_id")
    if document_id.endswith(RESERVED_ENDINGS):
        raise InvalidInput("a document id does not end in /text or /content", code="invalid_document_id")
    return document_id


def check_access(access: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns the tags, sorted and distinct. Raises `InvalidInput` for an empty or overlong tag."""
    if access is None:
        return None
    bad = [tag for tag in access if not tag.strip() or len(tag) > _ACCESS_TAG_CHARS_MAX]
    if bad:
        raise InvalidInput(
            f"an access tag has 1 to {_ACCESS_TAG_CHARS_MAX} characters, not {bad[0][:120]!r}",
            code="invalid_access",
        )
    return tuple(sorted(set(access)))


def visible(tags: frozenset[str] | None) -> ColumnElement[bool]:
    """The condition on `documents` that a holder of `tags` may see them: untagged, or with one of these (None: all)."""
    if tags is None:
        return true()
    access = schema.document_access
    own = access.c.document_pk == schema.documents.c.pk
    return or_(~exists().where(own), exists().where(own, access.c.tag.in_(sorted(tags))))


def check_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the metadata.

    Raises `InvalidInput` unless it is JSON: finite numbers, valid Unicode, names that are strings.
    """
    try:
        json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as failure:
        raise InvalidInput(f"metadata has to be a JSON object: {failure}", code="invalid_metadata") from failure
    return metadata


class Passwords:
    """Passwords of uploads that wait for their job, by version key; in memory only, never written anywhere."""

    def __init__(self) -> None:
        self._by_version: dict[int, str] = {}

    def keep(self, version_pk: int, password: str) -> None:
        self._by_version[version_pk] = password

    def take(self, version_pk: int) -> str | None:
        return self._by_version.pop(version_pk, None)


class Documents:
    """The documents of all collections."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, passwords: Passwords) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._passwords = passwords

    def submit(self, collection: Collection, uploads: Sequence[Upload], *, key_id: str | None) -> Submission:
        """Record uploads and the job that will ingest them, in one transaction.

        A file whose bytes equal the live version is `unchanged`: it is neither parsed nor embedded again, but metadata
        and access tags sent with it are applied. Raises `InvalidInput` for a bad id, tag or metadata, `NotFound` when
        the collection was deleted meanwhile, `Unavailable` when the bytes were (a purge of the same bytes came between
        storing and recording: send them again); then nothing is recorded.
        """
        for upload in uploads:
            check_document_id(upload.document_id)
            check_access(upload.access)
            check_metadata(upload.metadata)

        def change(connection: Connection) -> Submission:
            check_collection(connection, collection)
            for upload in uploads:
                if upload.problem is None and upload.blob.sha256 not in self._blobs:
                    raise Unavailable(f"{upload.filename} was deleted while it was uploaded; send it again")
            return _submit(connection, collection, uploads, key_id, self._passwords)

        return self._catalogue.write(change)

    def get(self, collection: Collection, document_id: str) -> DocumentRecord:
        """Raises `NotFound` (`document_not_found`)."""
        with self._catalogue.read() as connection:
            return _record(connection, collection, _find(connection, collection, document_id))

    def hidden(self, collection: Collection, document_ids: Sequence[str], tags: frozenset[str]) -> set[str]:
        """Those of `document_ids` that exist but that a holder of `tags` may not see; at most 1,000 ids a call."""
        table = schema.documents
        query = select(table.c.document_id).where(
            table.c.collection_pk == collection.pk,
            table.c.tombstoned_at.is_(None),
            table.c.document_id.in_(document_ids),
            not_(visible(tags)),
        )
        with self._catalogue.read() as connection:
            return set(connection.execute(query).scalars())

    def list(
        self,
        collection: Collection,
        *,
        status: str | None = None,
        tags: frozenset[str] | None = None,
        limit: int = 100,
        cursor: int = 0,
    ) -> tuple[list[DocumentRecord], int | None]:
        """Up to `limit` documents in order of arrival after `cursor`, and the cursor of the next page or None.

        With `tags`, only those that a holder of these tags may see.
        """
        table = schema.documents
        query = select(table).where(
            table.c.collection_pk == collection.pk,
            table.c.tombstoned_at.is_(None),
            table.c.pk > cursor,
            visible(tags),
        )
        if status is not None:
            query = query.where(table.c.status == status)
        with self._catalogue.read() as connection:
            rows = connection.execute(query.order_by(table.c.pk).limit(limit + 1)).all()
            records = [_record(connection, collection, row) for row in rows[:limit]]
        return records, records[-1].pk if len(rows) > limit else None

    def text(self, collection: Collection, document_id: str, version: int | None = None) -> VersionText:
        """The extracted text of `version` (None: the live one).

        Raises `NotFound` for an unknown document or version, `Gone` for a version whose text is no longer kept.
        """
        with self._catalogue.read() as connection:
            row = _version(connection, collection, document_id, version)
            if row.state in ("pending", "failed"):
                raise NotFound(
                    f"version {row.version} of document {document_id[:200]!r} has no text: it is {row.state}",
                    code="text_not_available",
                )
            return load_version_text(connection, row.pk)

    def original(self, collection: Collection, document_id: str, version: int | None = None) -> Original:
        """The original bytes of `version` (None: the live one, else the newest). Raises `NotFound`, `Gone`."""
        with self._catalogue.read() as connection:
            row = _version(connection, collection, document_id, version, any_state=True)
            if not row.has_blob:
                line = CorpusLine(
                    document_id,
                    row.source_metadata["title"],
                    load_version_text(connection, row.pk).text,
                    row.source_metadata["metadata"],
                )
                return Original(row.media_type, row.filename, None, line.canonical())
        path = self._blobs.path(row.sha256)
        if not path.exists():
            raise Gone(f"the original of version {row.version} is no longer stored", code="original_gone")
        return Original(row.media_type, row.filename, path, None)


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


def new_id(prefix: str) -> str:
    """A fresh public id such as `job_9f…`, 128 bits of randomness."""
    return f"{prefix}_{secrets.token_hex(16)}"


def _submit(
    connection: Connection,
    collection: Collection,
    uploads: Sequence[Upload],
    key_id: str | None,
    passwords: Passwords,
) -> Submission:
    job_id, moment = new_id("job"), now()
    job = connection.execute(
        insert(schema.jobs).values(
            job_id=job_id,
            kind="ingest",
            collection_pk=collection.pk,
            key_id=key_id,
            state="queued",
            stage="parsing",
            done=0,
            total=0,
            failed=0,
            payload={},
            attempts=0,
            cancel_requested=0,
            created_at=moment,
            updated_at=moment,
        )
    ).inserted_primary_key
    assert job is not None
    submitted = [_submit_one(connection, collection, job[0], upload, passwords) for upload in uploads]
    settle_job_counts(connection, job[0])
    if all(document.status != "queued" for document in submitted):
        failed = sum(document.status == "failed" for document in submitted)
        state = outcome(failed, len(submitted))
        connection.execute(update(schema.jobs).where(schema.jobs.c.pk == job[0]).values(state=state))
    return Submission(job_id, tuple(submitted))


def _submit_one(
    connection: Connection, collection: Collection, job_pk: int, upload: Upload, passwords: Passwords
) -> SubmittedDocument:
    if upload.media_type in CORPUS_MEDIA_TYPES and upload.problem is None:
        payload = {
            "sha256": upload.blob.sha256,
            "media_type": upload.media_type,
            "metadata": dict(upload.metadata),
            "access": None if upload.access is None else list(upload.access),
            "line": 0,
        }
        _insert_job_document(connection, job_pk, upload, kind="corpus", state="queued", payload=payload)
        return SubmittedDocument(upload.document_id, upload.filename, "queued")
    document_pk, version_pk, unchanged = put_version(connection, collection, upload, job_pk, has_blob=True)
    if upload.password is not None and not unchanged:
        passwords.keep(version_pk, upload.password)
    state = "unchanged" if unchanged else "queued"
    _insert_job_document(
        connection, job_pk, upload, kind="file", state=state, document_pk=document_pk, version_pk=version_pk
    )
    if upload.problem is not None and not unchanged:
        fail_version(connection, document_pk, version_pk, upload.problem)
        connection.execute(
            update(schema.job_documents)
            .where(schema.job_documents.c.job_pk == job_pk, schema.job_documents.c.version_pk == version_pk)
            .values(state="failed", error_code=upload.problem.code, error_message=upload.problem.message)
        )
        return SubmittedDocument(upload.document_id, upload.filename, "failed")
    return SubmittedDocument(upload.document_id, upload.filename, state)


def _insert_job_document(connection: Connection, job_pk: int, upload: Upload, **values: Any) -> None:
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk, document_id=upload.document_id, filename=upload.filename, stage="parsing", **values
        )
    )


def outcome(failed: int, total: int) -> str:
    """The terminal state of a job of which `failed` of `total` documents did not succeed."""
    if failed == 0:
        return "succeeded"
    return "failed" if failed == total else "partial"


def check_collection(connection: Connection, collection: Collection) -> None:
    """Raises `NotFound` when the collection was deleted since it was looked up."""
    table = schema.collections
    query = select(table.c.pk).where(table.c.pk == collection.pk, table.c.tombstoned_at.is_(None))
    if connection.execute(query).first() is None:
        raise NotFound(f"collection {collection.name!r} was deleted", code="collection_not_found")


def put_version(
    connection: Connection,
    collection: Collection,
    upload: Upload,
    job_pk: int,
    *,
    has_blob: bool,
    source_metadata: Mapping[str, Any] | None = None,
) -> tuple[int, int, bool]:
    """Record `upload` as the newest version of its document, pending until ingested.

    Returns (document key, version key, unchanged). Unchanged means that the newest version that did not fail has the
    same bytes and is live, or waits in this same job; metadata and access are applied all the same. One that waits in
    another job counts for nothing: that job may be cancelled.
    """
    document = _find_or_none(connection, collection, upload.document_id)
    if document is None:
        document_pk, newest = _create_document(connection, collection, upload), 0
    else:
        document_pk = document.pk
        _apply_attributes(connection, collection, document, upload)
        newest = _newest_number(connection, document_pk)
        same = _same_version(connection, document_pk, upload, job_pk)
        if same is not None:
            return document_pk, same, True
    moment = now()
    version = connection.execute(
        insert(schema.versions).values(
            document_pk=document_pk,
            version=newest + 1,
            sha256=upload.blob.sha256,
            bytes=upload.blob.size_bytes,
            media_type=upload.media_type,
            filename=upload.filename,
            has_blob=int(has_blob),
            source_metadata=dict(source_metadata or {}),
            state="pending",
            page_spans=[],
            created_at=moment,
        )
    ).inserted_primary_key
    assert version is not None
    status = "queued" if document is None or document.live_version_pk is None else document.status
    connection.execute(
        update(schema.documents)
        .where(schema.documents.c.pk == document_pk)
        .values(status=status, error_code=None, error_message=None, updated_at=moment)
    )
    return document_pk, version[0], False


def _newest_number(connection: Connection, document_pk: int) -> int:
    versions = schema.versions
    query = select(func.max(versions.c.version)).where(versions.c.document_pk == document_pk)
    return int(connection.execute(query).scalar() or 0)


def _same_version(connection: Connection, document_pk: int, upload: Upload, job_pk: int) -> int | None:
    """The key of the version that makes `upload` superfluous."""
    versions, parts = schema.versions, schema.job_documents
    current = connection.execute(
        select(versions)
        .where(versions.c.document_pk == document_pk, versions.c.state.in_(("pending", "live")))
        .order_by(versions.c.version.desc())
        .limit(1)
    ).one_or_none()
    if current is None or (current.sha256, current.media_type) != (upload.blob.sha256, upload.media_type):
        return None
    own = select(parts.c.pk).where(
        parts.c.document_pk == document_pk, parts.c.version_pk == current.pk, parts.c.job_pk == job_pk
    )
    same = current.state == "live" or connection.execute(own).first() is not None
    return int(current.pk) if same else None


def fail_version(connection: Connection, document_pk: int, version_pk: int, error: CitewellError) -> None:
    """Record that a version could not be ingested.

    A document with a live version stays ready and keeps answering; one with a newer version, live or pending, does not
    show the error of the older one.
    """
    versions, document = schema.versions, schema.documents
    connection.execute(update(versions).where(versions.c.pk == version_pk).values(state="failed"))
    number = select(versions.c.version).where(versions.c.pk == version_pk).scalar_subquery()
    newer = select(versions.c.pk).where(
        versions.c.document_pk == document_pk,
        versions.c.version > number,
        versions.c.state.in_(("pending", "live")),
    )
    concerned = (document.c.pk == document_pk) & document.c.tombstoned_at.is_(None) & ~newer.exists()
    connection.execute(
        update(document).where(concerned).values(error_code=error.code, error_message=error.message, updated_at=now())
    )
    connection.execute(update(document).where(concerned, document.c.live_version_pk.is_(None)).values(status="failed"))


def _create_document(connection: Connection, collection: Collection, upload: Upload) -> int:
    moment = now()
    credibility = Credibility()
    pk = connection.execute(
        insert(schema.documents).values(
            collection_pk=collection.pk,
            document_id=upload.document_id,
            parent_document_id=upload.parent_document_id,
            status="queued",
            metadata=dict(upload.metadata),
            media_type=upload.media_type,
            credibility=credibility.score,
            credibility_source=credibility.source,
            created_at=moment,
            updated_at=moment,
        )
    ).inserted_primary_key
    assert pk is not None
    _store_access(connection, pk[0], check_access(upload.access) or ())
    return int(pk[0])


def _apply_attributes(connection: Connection, collection: Collection, document: Row[Any], upload: Upload) -> None:
    """Metadata and tags as sent, also for what came attached: who may not read a mail, reads nothing of it."""
    access = check_access(upload.access)
    table = schema.documents
    rows = [document]
    while rows:
        keys = [row.pk for row in rows]
        if upload.metadata:
            change = update(table).where(table.c.pk.in_(keys))
            connection.execute(change.values(metadata=dict(upload.metadata), updated_at=now()))
        if access is not None:
            tags = schema.document_access
            connection.execute(delete(tags).where(tags.c.document_pk.in_(keys)))
            for key in keys:
                _store_access(connection, key, access)
        attached = select(table).where(
            table.c.collection_pk == collection.pk,
            table.c.parent_document_id.in_([row.document_id for row in rows]),
            table.c.tombstoned_at.is_(None),
        )
        rows = list(connection.execute(attached))


def _store_access(connection: Connection, document_pk: int, access: Sequence[str]) -> None:
    if access:
        rows = [{"document_pk": document_pk, "tag": tag} for tag in access]
        connection.execute(insert(schema.document_access), rows)


def _find_or_none(connection: Connection, collection: Collection, document_id: str) -> Row[Any] | None:
    table = schema.documents
    query = select(table).where(
        table.c.collection_pk == collection.pk,
        table.c.document_id == document_id,
        table.c.tombstoned_at.is_(None),
    )
    return connection.execute(query).one_or_none()


def _find(connection: Connection, collection: Collection, document_id: str) -> Row[Any]:
    row = _find_or_none(connection, collection, document_id)
    if row is None:
        raise NotFound(
            f"collection {collection.name!r} has no document {document_id[:200]!r}", code="document_not_found"
        )
    return row


def _version(
    connection: Connection,
    collection: Collection,
    document_id: str,
    version: int | None,
    *,
    any_state: bool = False,
) -> Row[Any]:
    document = _find(connection, collection, document_id)
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


def _record(connection: Connection, collection: Collection, row: Row[Any]) -> DocumentRecord:
    versions, chunks = schema.versions, schema.chunks
    newest = select(versions).where(versions.c.document_pk == row.pk).order_by(versions.c.version.desc()).limit(1)
    if row.live_version_pk is not None:
        newest = select(versions).where(versions.c.pk == row.live_version_pk)
    version = connection.execute(newest).one()
    counted = select(func.count()).where(
        chunks.c.version_pk == version.pk, chunks.c.generation_pk == collection.live_generation.pk
    )
    tags = select(schema.document_access.c.tag).where(schema.document_access.c.document_pk == row.pk)
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
        access=tuple(connection.execute(tags.order_by(schema.document_access.c.tag)).scalars()),
        parent_document_id=row.parent_document_id,
        duplicate_of=_duplicate_of(connection, row, version.sha256),
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


def _duplicate_of(connection: Connection, document: Row[Any], sha256: str) -> str | None:
    """The id of the oldest live document of the collection with these bytes, unless that is `document` itself."""
    documents, versions = schema.documents, schema.versions
    # by hash first: only a handful of versions share one, while a collection has many documents
    alike = select(versions.c.document_pk).where(versions.c.sha256 == sha256, versions.c.state == "live")
    keys = [key for key in connection.execute(alike).scalars() if key < document.pk]
    if not keys:
        return None
    query = select(documents.c.document_id).where(
        documents.c.pk.in_(keys),
        documents.c.collection_pk == document.collection_pk,
        documents.c.tombstoned_at.is_(None),
    )
    return connection.execute(query.order_by(documents.c.pk).limit(1)).scalar()
