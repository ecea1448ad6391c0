"""Which stored originals are still needed, and the removal of those that are not.

Whether an original is needed is decided, and acted upon, on the catalogue's writer thread: an upload of the same bytes
is recorded either before (then they are needed) or after (then the upload finds them gone, and says so).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from sqlalchemy import Connection, select, update

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema

_HASHES_PER_QUERY = 500


def needed(connection: Connection, hashes: Collection[str]) -> set[str]:
    """Those of the hashes that are the original of some version, or of a corpus that is yet to be read."""
    versions = schema.versions
    used = select(versions.c.sha256).where(versions.c.sha256.in_(hashes), versions.c.has_blob == 1).distinct()
    return set(connection.execute(used).scalars()) | (_waiting_corpora(connection) & set(hashes))


def remove_spent_corpora(catalogue: Catalogue, blobs: BlobStore) -> None:
    """Remove corpora that were read, or never will be: each line keeps its own text, and is deleted by itself."""
    parts = schema.job_documents

    def change(connection: Connection) -> None:
        spent = select(parts.c.pk, parts.c.payload).where(schema.IS_CORPUS, parts.c.state != "queued")
        for row in connection.execute(spent).all():
            sha256 = row.payload.get("sha256")
            if sha256 is None:
                continue
            if not needed(connection, [sha256]):
                blobs.remove(sha256)
            kept = {key: value for key, value in row.payload.items() if key != "sha256"}
            connection.execute(update(parts).where(parts.c.pk == row.pk).values(payload=kept))

    catalogue.write(change)


def remove_unneeded(catalogue: Catalogue, blobs: BlobStore, hashes: Collection[str]) -> None:
    """Remove those of the originals that nothing refers to."""
    given = sorted(hashes)
    for start in range(0, len(given), _HASHES_PER_QUERY):
        catalogue.write(partial(_remove_some, blobs=blobs, hashes=given[start : start + _HASHES_PER_QUERY]))


def _remove_some(connection: Connection, *, blobs: BlobStore, hashes: Collection[str]) -> None:
    for sha256 in set(hashes) - needed(connection, hashes):
        blobs.remove(sha256)


def remove_all_unneeded(catalogue: Catalogue, blobs: BlobStore) -> int:
    """Remove every original that nothing refers to, such as an upload that was stored but never recorded.

    Only for the owner of the data directory, before it serves. Returns how many were removed.
    """

    def change(connection: Connection) -> int:
        versions = schema.versions
        kept = set(connection.execute(select(versions.c.sha256).where(versions.c.has_blob == 1)).scalars())
        kept |= _waiting_corpora(connection)
        return sum(blobs.remove(sha256) for sha256 in list(blobs) if sha256 not in kept)

    return catalogue.write(change)


def _waiting_corpora(connection: Connection) -> set[str]:
    parts = schema.job_documents
    query = select(parts.c.payload).where(schema.IS_CORPUS, parts.c.state == "queued")
    return {payload["sha256"] for payload in connection.execute(query).scalars()}
