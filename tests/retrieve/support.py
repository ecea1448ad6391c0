"""A catalogue filled by hand: versions of one chunk each, and what snapshots find of them."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection
from ingest.generations import GenerationSpec
from ingest.index_log import append_change
from retrieve.analysis import analyse_query
from retrieve.generation_index import Snapshot
from tests.fakes import HashingEncoder

SPEC = GenerationSpec("hashing", "1", 64, 60, 12, "a", "faiss_flat+tantivy")


def put(catalogue: Catalogue, collection: Collection, document_pk: int, text: str) -> int:
    """Make a version with one chunk live, in place of the one that is; returns the seq of the change."""

    def change(connection: Connection) -> int:
        version_pk = add_version(connection, collection, document_pk, text)
        documents = schema.documents
        live = connection.execute(documents.select().where(documents.c.pk == document_pk)).one().live_version_pk
        connection.execute(update(documents).where(documents.c.pk == document_pk).values(live_version_pk=version_pk))
        return append_change(connection, collection.pk, add=version_pk, retire=live)

    return catalogue.write(change)


def add_version(connection: Connection, collection: Collection, document_pk: int, text: str) -> int:
    documents, versions, chunks = schema.documents, schema.versions, schema.chunks
    row = {"status": "ready", "metadata": {}, "credibility": 0.5, "credibility_source": 0.5, "created_at": "2026"}
    row |= {"document_id": f"d{document_pk}", "collection_pk": collection.pk, "updated_at": "2026"}
    connection.execute(insert(documents).prefix_with("OR IGNORE").values(pk=document_pk, **row))
    number = len(connection.execute(versions.select().where(versions.c.document_pk == document_pk)).all())
    row = {"sha256": "0", "bytes": 1, "media_type": "t", "filename": "f", "has_blob": 0, "source_metadata": {}}
    row |= {"page_spans": [], "created_at": "2026", "state": "live", "version": number, "document_pk": document_pk}
    version_key = connection.execute(insert(versions).values(**row)).inserted_primary_key
    assert version_key is not None
    row = {"version_pk": version_key[0], "generation_pk": collection.live_generation.pk, "ordinal": 0, "text": text}
    row |= {"char_start": 0, "char_end": len(text), "tokens": 1}
    chunk_key = connection.execute(insert(chunks).values(**row)).inserted_primary_key
    assert chunk_key is not None
    vector = HashingEncoder().encode([text], "document", fast=True)[0]
    connection.execute(insert(schema.chunk_vectors).values(chunk_pk=chunk_key[0], vector=vector.tobytes()))
    return int(version_key[0])


def lexical(snapshot: Snapshot, text: str) -> list[int]:
    """Chunk keys that the lexical index of the snapshot finds."""
    return snapshot.lexical.search(analyse_query(text), top_k=10).chunks.tolist()


def vector(snapshot: Snapshot, text: str) -> list[int]:
    """Chunk keys that the vector index of the snapshot finds, nearest first."""
    query = HashingEncoder().encode([text], "query", fast=False)[0]
    return snapshot.vector.search(query, top_k=10).chunks.tolist()
