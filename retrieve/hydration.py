"""Fused chunks with their texts and documents: the catalogue's part of a hit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Table, select

from ingest.caches import CacheStats, LruCache
from ingest.catalogue import Catalogue, schema
from ingest.credibility import Credibility
from retrieve.fusion import FusedHit
from retrieve.query import Hit, Scores

TABLES: tuple[Table, ...] = (schema.documents, schema.versions, schema.chunks)
"""What a hit is made of: a change of one of these may change it."""

_CHARS_PER_UNIT = 1_000


class Hydration:
    """Looks chunks up, and remembers rows of `cached_mib` MiB of text for as long as no document changes."""

    def __init__(self, catalogue: Catalogue, *, cached_mib: int) -> None:
        self._catalogue = catalogue
        self._rows: LruCache[Row[Any]] = LruCache(cached_mib * (1 << 20) // _CHARS_PER_UNIT)

    def hits(self, fused: Sequence[FusedHit], *, credibility_weight: float) -> list[Hit]:
        """The fused chunks as hits, credibility in the score, in the new order.

        Chunks that were purged meanwhile drop out.
        """
        rows = self._lookup([hit.chunk for hit in fused])
        hits = [_hit(rows[hit.chunk], hit, credibility_weight) for hit in fused if hit.chunk in rows]
        return sorted(hits, key=lambda hit: -hit.score)

    def evict(self, document_pks: frozenset[int]) -> int:
        """Forget the rows of these documents; returns how many there were."""
        revision = self._catalogue.revision(TABLES)
        return self._rows.evict(lambda row: row.document_pk in document_pks, revision=revision)

    def stale(self) -> int:
        """Remembered rows that are not what the catalogue says; 0 unless something is wrong."""
        revision = self._catalogue.revision(TABLES)
        known = self._rows.values(revision=revision)
        with self._catalogue.read() as connection:
            return sum(connection.execute(_chunk_query([row.pk])).one_or_none() != row for row in known)

    def stats(self) -> CacheStats:
        """Of the remembered rows."""
        return self._rows.stats()

    def _lookup(self, chunk_pks: Sequence[int]) -> dict[int, Row[Any]]:
        revision = self._catalogue.revision(TABLES)
        found = {pk: row for pk in chunk_pks if (row := self._rows.get(pk, revision=revision)) is not None}
        missing = [pk for pk in chunk_pks if pk not in found]
        if missing:
            with self._catalogue.read() as connection:
                rows = connection.execute(_chunk_query(missing)).all()
            for row in rows:
                found[row.pk] = row
                self._rows.put(row.pk, row, weight=1 + len(row.text) // _CHARS_PER_UNIT, revision=revision)
        return found


def _chunk_query(chunk_pks: Sequence[int]) -> Any:
    chunks, versions, documents = schema.chunks, schema.versions, schema.documents
    joined = chunks.join(versions, versions.c.pk == chunks.c.version_pk).join(
        documents, documents.c.pk == versions.c.document_pk
    )
    return (
        select(
            chunks,
            versions.c.document_pk,
            versions.c.version,
            versions.c.title,
            versions.c.language,
            versions.c.document_date,
            documents.c.document_id,
            documents.c.duplicate_of_pk,
            documents.c.credibility,
            documents.c.credibility_source,
            documents.c.credibility_freshness,
            documents.c.credibility_corroboration,
            documents.c.credibility_feedback,
            documents.c.credibility_extraction,
        )
        .select_from(joined)
        .where(chunks.c.pk.in_(chunk_pks))
    )


def _hit(row: Row[Any], fused: FusedHit, credibility_weight: float) -> Hit:
    stages = fused.stages
    return Hit(
        rank=0,
        chunk_id=str(row.pk),
        document_id=row.document_id,
        document_pk=row.document_pk,
        original_pk=row.duplicate_of_pk or row.document_pk,
        version=row.version,
        version_pk=row.version_pk,
        title=row.title,
        page=row.page,
        heading=row.heading,
        char_start=row.char_start,
        char_end=row.char_end,
        text=row.text,
        score=fused.score * (1 + credibility_weight * (row.credibility - 0.5)),
        scores=Scores(
            vector=stages["vector"].score if "vector" in stages else None,
            lexical=stages["lexical"].score if "lexical" in stages else None,
            fused=fused.score,
            rerank=None,
            credibility=row.credibility,
        ),
        language=row.language,
        document_date=row.document_date,
        credibility=Credibility(
            row.credibility_source,
            row.credibility_freshness,
            row.credibility_corroboration,
            row.credibility_feedback,
            row.credibility_extraction,
        ),
    )
