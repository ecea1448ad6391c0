"""Files that came inside a mail: each is a document of its own, which lives and dies with the mail.

Its id is `{mail}/{file name}`; access tags and metadata are the mail's. A mail's new version keeps those that it still
carries and deletes the others.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Collection as Names
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from ingest.blobs import Blob, BlobStore
from ingest.catalogue import schema
from ingest.collections import Collection
from ingest.corpus import CORPUS_MEDIA_TYPES
from ingest.deletion import tombstone
from ingest.documents import ID_CHARS_MAX, RESERVED_ENDINGS, Upload, fail_version, put_version
from ingest.errors import CitewellError, TooLarge, UnsupportedMediaType
from ingest.parsing.document import Attachment
from ingest.parsing.media_types import PLAIN, detect_media_type


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """An attachment whose bytes lie in the blob store; `problem` is set when nothing can read it."""

    filename: str
    media_type: str
    blob: Blob
    data: bytes
    problem: CitewellError | None = None


def store_attachments(
    blobs: BlobStore, attachments: Sequence[Attachment], *, max_bytes: int, depth: int, depth_max: int
) -> tuple[StoredAttachment, ...]:
    """Keep the bytes of each; `depth` is how deep they lie (1: in a mail that nothing carries).

    Raises as `BlobStore.put` does, except that one too large, or too deep, is left to be recorded as such.
    """
    return tuple(_store(blobs, one, max_bytes, depth, depth_max) for one in attachments)


def nesting_depth(connection: Connection, document_pk: int) -> int:
    """In how many mails, each in the next, a document lies: 0 for one that was uploaded by itself."""
    documents = schema.documents
    query = select(documents.c.collection_pk, documents.c.parent_document_id).where(documents.c.pk == document_pk)
    row = connection.execute(query).one_or_none()
    depth = 0
    while row is not None and row.parent_document_id is not None:
        depth += 1
        parent = select(documents.c.collection_pk, documents.c.parent_document_id).where(
            documents.c.collection_pk == row.collection_pk,
            documents.c.document_id == row.parent_document_id,
            documents.c.tombstoned_at.is_(None),
        )
        row = connection.execute(parent).one_or_none()
    return depth


def _store(blobs: BlobStore, attachment: Attachment, max_bytes: int, depth: int, depth_max: int) -> StoredAttachment:
    filename, data = attachment.filename, attachment.data
    problem = None
    if len(data) > max_bytes:
        problem = TooLarge(f"attachment {filename} is larger than the limit of {max_bytes:,} bytes")
    elif depth > depth_max:
        problem = TooLarge(
            f"attachment {filename} lies in more than {depth_max} mails, each in the next; upload it by itself"
        )
    if problem is not None:
        empty = blobs.put(io.BytesIO(), max_bytes=0)
        return StoredAttachment(filename, attachment.media_type, empty, b"", problem)
    blob = blobs.put(io.BytesIO(data), max_bytes=max_bytes)
    try:
        media_type = detect_media_type(filename, attachment.media_type, blob.head)
    except UnsupportedMediaType as problem:
        return StoredAttachment(filename, attachment.media_type, blob, data, problem)
    # a corpus is many documents only where someone uploads it as one
    return StoredAttachment(filename, PLAIN if media_type in CORPUS_MEDIA_TYPES else media_type, blob, data)


def record_attachments(
    connection: Connection,
    collection: Collection,
    job_pk: int,
    mail: Row[Any],
    attachments: Sequence[StoredAttachment],
    blobs: BlobStore,
) -> list[str]:
    """Make documents of the attachments of `mail` (a row of `documents`), parts of the same job, and delete its others.

    Returns the state of each new part of the job.
    """
    present = _children(connection, collection, mail.document_id)
    tags = schema.document_access
    access = list(connection.execute(select(tags.c.tag).where(tags.c.document_pk == mail.pk)).scalars())
    metadata = {name: value for name, value in mail.metadata.items() if name != "title"}
    taken: dict[str, str] = {}
    for one in attachments:
        document_id = _free_id(connection, collection, mail.document_id, one.filename, taken, present)
        if one.blob.sha256 not in blobs:  # a purge of the same bytes came between
            blobs.put(io.BytesIO(one.data), max_bytes=len(one.data))
        upload = Upload(
            document_id=document_id,
            filename=one.filename,
            media_type=one.media_type,
            blob=one.blob,
            metadata=metadata,
            access=access,
            parent_document_id=mail.document_id,
            problem=one.problem,
        )
        taken[document_id] = _record(connection, collection, job_pk, upload)
    gone = [pk for document_id, pk in present.items() if document_id not in taken]
    if gone:
        tombstone(connection, collection, gone, None, drop_collection=False)
    return list(taken.values())


def parents(connection: Connection, collection: Collection, document_ids: Sequence[str]) -> set[str]:
    """Those of the ids, at most a few hundred, to which something is attached."""
    documents = schema.documents
    query = select(documents.c.parent_document_id).where(
        documents.c.collection_pk == collection.pk,
        documents.c.parent_document_id.in_(document_ids),
        documents.c.tombstoned_at.is_(None),
    )
    return set(connection.execute(query.distinct()).scalars())


def _record(connection: Connection, collection: Collection, job_pk: int, upload: Upload) -> str:
    document_pk, version_pk, unchanged = put_version(connection, collection, upload, job_pk, has_blob=True)
    values: dict[str, Any] = {"state": "unchanged" if unchanged else "queued"}
    if upload.problem is not None and not unchanged:
        fail_version(connection, document_pk, version_pk, upload.problem)
        values = {"state": "failed", "error_code": upload.problem.code, "error_message": upload.problem.message}
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk,
            document_pk=document_pk,
            version_pk=version_pk,
            document_id=upload.document_id,
            filename=upload.filename,
            kind="attachment",
            stage="parsing",
            **values,
        )
    )
    return str(values["state"])


def _children(connection: Connection, collection: Collection, document_id: str) -> dict[str, int]:
    documents = schema.documents
    query = select(documents.c.document_id, documents.c.pk).where(
        documents.c.collection_pk == collection.pk,
        documents.c.parent_document_id == document_id,
        documents.c.tombstoned_at.is_(None),
    )
    return {row.document_id: row.pk for row in connection.execute(query)}


def _free_id(
    connection: Connection,
    collection: Collection,
    mail_id: str,
    filename: str,
    taken: Names[str],
    present: Names[str],
) -> str:
    """The attachment's id: numbered where the mail has two of the name, or another document has the id."""
    documents = schema.documents
    number = 1
    while True:
        candidate = attachment_id(mail_id, filename, number)
        foreign = select(documents.c.pk).where(
            documents.c.collection_pk == collection.pk,
            documents.c.document_id == candidate,
            documents.c.tombstoned_at.is_(None),
        )
        if candidate not in taken and (candidate in present or connection.execute(foreign).first() is None):
            return candidate
        number += 1


def attachment_id(mail_id: str, filename: str, number: int) -> str:
    """`mail.eml/report.pdf`, from number 2 on `mail.eml/report (2).pdf`.

    Made valid, and cut where it would be too long.
    """
    printable = "".join(" " if unicodedata.category(one) in ("Cc", "Cs") else one for one in filename)
    name = PurePosixPath(printable.replace("\\", "/")).name.strip() or "attachment"
    plain = f"{mail_id}/{name}"
    if number == 1 and len(plain) <= ID_CHARS_MAX and not plain.endswith(RESERVED_ENDINGS):
        return plain
    path = PurePosixPath(name)
    ending = f" ({number}){path.suffix[:20]}"
    return f"{mail_id}/{path.stem}"[: ID_CHARS_MAX - len(ending)] + ending
