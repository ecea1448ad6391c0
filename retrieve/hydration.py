"""Fused chunks with their texts and documents: the catalogue's part of a hit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, Table, bindparam, select

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

    def hits(self, fused: Sequence[FusedHit], rows: Mapping[int, Row[Any]], *, credibility_weight: float) -> list[Hit]:
        """The fused chunks as hits, credibility in the score, in the new order.

        Those without a row (see `rows`) drop out.
        """
        hits = [_hit(rows[hit.chunk], hit, credibility_weight) for hit in fused if hit.chunk in rows]
        return sorted(hits, key=lambda hit: -hit.score)

    def rows(self, chunk_pks: Iterable[int]) -> dict[int, Row[Any]]:
        """What the catalogue has of each chunk, as of one moment; without those that were purged meanwhile."""
        revision = self._catalogue.revision(TABLES)
        wanted = dict.fromkeys(chunk_pks)
        found = {pk: row for pk in wanted if (row := self._rows.get(pk, revision=revision)) is not None}
        missing = [pk for pk in wanted if pk not in found]
        if missing:
            with self._catalogue.read() as connection:
                rows = connection.execute(_CHUNKS, {"pks": missing}).all()
            for row in rows:
                found[row.pk] = row
                self._rows.put(row.pk, row, weight=1 + len(row.text) // _CHARS_PER_UNIT, revision=revision)
        return found

    def evict(self, document_pks: frozenset[int]) -> int:
        """Forget the rows of these documents; returns how many there were."""
        revision = self._catalogue.revision(TABLES)
        return self._rows.evict(lambda row: row.document_pk in document_pks, revision=revision)

    def stale(self) -> int:
        """Remembered rows that are not what the catalogue says; 0 unless something is wrong."""
        revision = self._catalogue.revision(TABLES)
        known = self._rows.values(revision=revision)
        with self._catalogue.read() as connection:
            return sum(connection.execute(_CHUNKS, {"pks": [row.pk]}).one_or_none() != row for row in known)

    def stats(self) -> CacheStats:
        """Of the remembered rows."""
        return self._rows.stats()


def _chunk_query() -> Select[Any]:
    """Rows by `pks`. A statement is made and compiled once: at every search it took longer than SQLite itself."""
    chunks, versions, documents = schema.chunks, schema.versions, schema.documents
    joined = chunks.join(versions, versions.c.pk == chunks.c.version_pk).join(
        documents, documents.c.pk == versions.c.document_pk
    )
    return (
        select(
            chunks.c.pk,
            documents.c.document_id,
            versions.c.document_pk,
            documents.c.duplicate_of_pk,
            versions.c.version,
            chunks.c.version_pk,
            versions.c.title,
            chunks.c.page,
            chunks.c.heading,
            chunks.c.char_start,
            chunks.c.char_end,
            chunks.c.text,
            versions.c.language,
            versions.c.document_date,
            documents.c.credibility,
            documents.c.credibility_source,
            documents.c.credibility_freshness,
            documents.c.credibility_corroboration,
            documents.c.credibility_feedback,
            documents.c.credibility_extraction,
        )
        .select_from(joined)
        .where(chunks.c.pk.in_(bindparam("pks", expanding=True)))
    )


_CHUNKS = _chunk_query()


def _hit(row: Sequence[Any], fused: FusedHit, credibility_weight: float) -> Hit:
    (
        pk,
        document_id,
        document_pk,
        duplicate_of_pk,
        version,
        version_pk,
        title,
        page,
        heading,
        char_start,
        char_end,
        text,
        language,
        document_date,
        credibility,
        *parts,
    ) = row  # a name looked up in a row takes ten times as long
    stages = fused.stages
    return Hit(
        rank=0,
        chunk_id=str(pk),
        document_id=document_id,
        document_pk=document_pk,
        original_pk=duplicate_of_pk or document_pk,
        version=version,
        version_pk=version_pk,
        title=title,
        page=page,
        heading=heading,
        char_start=char_start,
        char_end=char_end,
        text=text,
        score=fused.score * (1 + credibility_weight * (credibility - 0.5)),
        scores=Scores(
            vector=stages["vector"].score if "vector" in stages else None,
            lexical=stages["lexical"].score if "lexical" in stages else None,
            fused=fused.score,
            rerank=None,
            credibility=credibility,
        ),
        language=language,
        document_date=document_date,
        credibility=Credibility(*parts),
    )
