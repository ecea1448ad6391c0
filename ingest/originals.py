"""Which stored originals are still needed, and the removal of those that are not.

Whether an original is needed is decided, and acted upon, on the catalogue's writer thread: an upload of the same bytes
is recorded either before (then they are needed) or after (then the upload finds them gone, and says so).
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema


def is_needed(connection: Connection, sha256: str) -> bool:
    """Some version has these bytes for its original, or a corpus with these bytes is yet to be read."""
    versions = schema.versions
    used = select(versions.c.pk).where(versions.c.sha256 == sha256, versions.c.has_blob == 1).limit(1)
    return connection.execute(used).first() is not None or sha256 in _waiting_corpora(connection)


def remove_spent_corpora(catalogue: Catalogue, blobs: BlobStore) -> None:
    """Remove corpora that were read, or never will be: each line keeps its own text, and is deleted by itself."""
    parts = schema.job_documents

    def change(connection: Connection) -> None:
        spent = select(parts.c.pk, parts.c.payload).where(schema.IS_CORPUS, parts.c.state != "queued")
        for row in connection.execute(spent).all():
            sha256 = row.payload.get("sha256")
            if sha256 is None:
                continue
            if not is_needed(connection, sha256):
                blobs.remove(sha256)
            kept = {key: value for key, value in row.payload.items() if key != "sha256"}
            connection.execute(update(parts).where(parts.c.pk == row.pk).values(payload=kept))

    catalogue.write(change)


def remove_unneeded(catalogue: Catalogue, blobs: BlobStore) -> int:
    """Remove every original that nothing refers to, such as an upload that was stored but never recorded.

    Only for the owner of the data directory, before it serves. Returns how many were removed.
    """

    def change(connection: Connection) -> int:
        versions = schema.versions
        needed = set(connection.execute(select(versions.c.sha256).where(versions.c.has_blob == 1)).scalars())
        needed |= _waiting_corpora(connection)
        return sum(blobs.remove(sha256) for sha256 in list(blobs) if sha256 not in needed)

    return catalogue.write(change)


def _waiting_corpora(connection: Connection) -> set[str]:
    parts = schema.job_documents
    query = select(parts.c.payload).where(schema.IS_CORPUS, parts.c.state == "queued")
    return {payload["sha256"] for payload in connection.execute(query).scalars()}
