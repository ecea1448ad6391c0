"""The documents of all collections: submitting, looking up, listing, reading text and originals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, not_, select

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection
from ingest.corpus import CorpusLine
from ingest.documents.checks import check_access, check_document_id, check_metadata, check_origin, visible
from ingest.documents.comparison import Comparison, compare
from ingest.documents.model import DocumentRecord, Original, Submission, Upload, VersionText
from ingest.documents.records import find, find_version, load_record, load_version_text
from ingest.documents.submission import check_collection, submit
from ingest.errors import Gone, NotFound, Unavailable
from ingest.passwords import Passwords


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
            if upload.origin is not None:
                check_origin(upload.origin)

        def change(connection: Connection) -> Submission:
            check_collection(connection, collection)
            for upload in uploads:
                if upload.problem is None and upload.blob.sha256 not in self._blobs:
                    raise Unavailable(f"{upload.filename} was deleted while it was uploaded; send it again")
            return submit(connection, collection, uploads, key_id, self._passwords)

        return self._catalogue.write(change)

    def compare(
        self, collection: Collection, origin: str, hashes: Mapping[str, str], *, tags: frozenset[str] | None
    ) -> Comparison:
        """What a holder of `tags` would have to do to bring the documents in step with a folder; see `compare`."""
        with self._catalogue.read() as connection:
            return compare(connection, collection, origin, hashes, tags=tags)

    def get(self, collection: Collection, document_id: str, *, tags: frozenset[str] | None = None) -> DocumentRecord:
        """The document; of its near duplicates only what a holder of `tags` may see.

        Raises `NotFound` (`document_not_found`).
        """
        with self._catalogue.read() as connection:
            return load_record(connection, collection, find(connection, collection, document_id), tags)

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
            records = [load_record(connection, collection, row, tags) for row in rows[:limit]]
        return records, records[-1].pk if len(rows) > limit else None

    def text(self, collection: Collection, document_id: str, version: int | None = None) -> VersionText:
        """The extracted text of `version` (None: the live one).

        Raises `NotFound` for an unknown document or version, `Gone` for a version whose text is no longer kept.
        """
        with self._catalogue.read() as connection:
            row = find_version(connection, collection, document_id, version)
            if row.state in ("pending", "failed"):
                raise NotFound(
                    f"version {row.version} of document {document_id[:200]!r} has no text: it is {row.state}",
                    code="text_not_available",
                )
            return load_version_text(connection, row.pk)

    def original(self, collection: Collection, document_id: str, version: int | None = None) -> Original:
        """The original bytes of `version` (None: the live one, else the newest). Raises `NotFound`, `Gone`."""
        with self._catalogue.read() as connection:
            row = find_version(connection, collection, document_id, version, any_state=True)
            if row.state == "expired":
                raise Gone(f"version {row.version} was replaced long ago and is no longer kept", code="original_gone")
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
