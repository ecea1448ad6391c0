"""A query's way to ranked evidence: restriction, both indexes side by side, fusion, credibility, reranking, merging."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from ingest.catalogue import Catalogue, schema
from ingest.credibility import Credibility
from ingest.errors import Unavailable
from ingest.generations import Generation, GenerationSpec
from ingest.models import Encoder, ModelRuntime, Priority
from retrieve.analysis import analyse_query
from retrieve.candidates import Candidates
from retrieve.collapse import collapse_duplicates
from retrieve.fusion import FusedHit, embedder_fits, fuse_vector_and_lexical
from retrieve.generation_index import Snapshot
from retrieve.merging import merge_neighbours
from retrieve.query import Access, Hit, Query, Ranking, Scores
from retrieve.rerank import Reranker, reranks
from retrieve.restriction import Restriction
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from retrieve.visibility import VisibleVersions

_HYDRATE_FACTOR = 3


class Searcher:
    """Searches any generation of any collection. Synchronous and thread-safe."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        indexes: Indexes,
        runtime: ModelRuntime,
        encoder_for: Callable[[GenerationSpec], Encoder],
        reranker: Reranker | None,
        settings: RetrieveSettings,
    ) -> None:
        self._catalogue = catalogue
        self._indexes = indexes
        self._runtime = runtime
        self._encoder_for = encoder_for
        self._reranker = reranker
        self._settings = settings
        self._visible = VisibleVersions()
        self._vector_side = ThreadPoolExecutor(max_workers=32, thread_name_prefix="vector-search")

    @property
    def reranker_name(self) -> str | None:
        """The model of the reranking stage; None while the stage is off."""
        return self._reranker.name if self._reranker else None

    def snapshot_seq(self, *, collection_pk: int, generation: Generation) -> int:
        """The change of the log up to which searches that begin now see the collection. Errors as `search`."""
        return self._indexes.snapshot(collection_pk, generation).seq

    def search(self, query: Query, *, collection_pk: int, generation: Generation, access: Access) -> Ranking:
        """Hits by score, highest first, at most `query.top_k`; equal scores in order of ingestion.

        Sees the state of the published snapshot, without tombstoned documents and without those that `access` or the
        filter exclude; both apply before scoring. Raises `InvalidInput` for a bad filter, `DeadlineExceeded` and
        `Overloaded` when a model is too slow or too busy, `Unavailable` when the index cannot be loaded.
        """
        timings: dict[str, float] = {}
        # snapshot first: the catalogue still knows what the snapshot holds, while an older restriction would miss it
        snapshot = self._indexes.snapshot(collection_pk, generation)
        with _timed(timings, "restrict"), self._catalogue.read() as connection:
            restriction = self._visible.restriction(connection, collection_pk, query.filter, access)
        vector, lexical, vector_used = self._candidates(query, generation, snapshot, restriction, timings)
        with _timed(timings, "fuse"):
            depth = max(query.top_k, self._settings.rerank_candidates) * _HYDRATE_FACTOR
            fused = fuse_vector_and_lexical(
                vector,
                lexical,
                top_k=depth,
                weight_vector=float(vector_used),
                weight_lexical=float(query.mode != "vector"),
                fusion=self._settings.fusion,
            )
        with _timed(timings, "hydrate"), self._catalogue.read() as connection:
            hits = self._hydrate(connection, fused)
        if self._settings.collapse_duplicates:
            with _timed(timings, "collapse"):
                hits = collapse_duplicates(hits)
        reranked = query.rerank and reranks(self._reranker, query.text)
        if reranked:
            with _timed(timings, "rerank"):
                hits = self._rerank(query.text, hits, depth=max(self._settings.rerank_candidates, query.top_k))
        hits = [replace(hit, rank=rank) for rank, hit in enumerate(merge_neighbours(hits)[: query.top_k], start=1)]
        return Ranking(
            tuple(hits),
            generation.generation,
            snapshot.seq,
            self.reranker_name if reranked else None,
            vector_used,
            timings,
        )

    def close(self) -> None:
        self._vector_side.shutdown(wait=True)

    def _candidates(
        self,
        query: Query,
        generation: Generation,
        snapshot: Snapshot,
        restriction: Restriction,
        timings: dict[str, float],
    ) -> tuple[Candidates, Candidates, bool]:
        """Candidates of the vector and of the lexical index, searched side by side; and whether the vectors count.

        An embedder that cannot read the query's script is left out of a hybrid search.
        """
        depth = max(self._settings.candidates, query.top_k * _HYDRATE_FACTOR)
        encoder = self._encoder_for(generation.spec)
        vector_used = query.mode == "vector" or (
            query.mode == "hybrid" and embedder_fits(query.text, languages=encoder.languages)
        )
        pending = None
        if vector_used:
            try:
                pending = self._vector_side.submit(
                    self._vector_candidates, query.text, encoder, snapshot, restriction, depth, timings
                )
            except RuntimeError as stopped:
                raise Unavailable("the service is shutting down") from stopped
        lexical = Candidates.none()
        if query.mode != "vector":
            with _timed(timings, "lexical"):
                lexical = snapshot.lexical.search(analyse_query(query.text), top_k=depth, restriction=restriction)
        return (pending.result() if pending else Candidates.none()), lexical, vector_used

    def _vector_candidates(
        self,
        text: str,
        encoder: Encoder,
        snapshot: Snapshot,
        restriction: Restriction,
        depth: int,
        timings: dict[str, float],
    ) -> Candidates:
        with _timed(timings, "embed"):
            vector = self._runtime.embed(
                encoder,
                [text],
                kind="query",
                priority=Priority.QUERY,
                timeout_s=self._settings.search_timeout_s,
            )[0]
        with _timed(timings, "vector"):
            return snapshot.vector.search(vector, top_k=depth, restriction=restriction)

    def _hydrate(self, connection: Connection, fused: Sequence[FusedHit]) -> list[Hit]:
        """The fused chunks with their texts, credibility in the score, in the new order.

        Chunks that were purged meanwhile drop out.
        """
        rows = {row.pk: row for row in connection.execute(_chunk_query([hit.chunk for hit in fused]))}
        hits = [_hit(rows[hit.chunk], hit, self._settings.credibility_weight) for hit in fused if hit.chunk in rows]
        return sorted(hits, key=lambda hit: -hit.score)

    def _rerank(self, text: str, hits: list[Hit], *, depth: int) -> list[Hit]:
        """The best `depth` candidates in the reranker's order; what it did not read is left out."""
        assert self._reranker is not None
        return self._reranker.rerank(text, hits[:depth], timeout_s=self._settings.search_timeout_s)


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
        original_pk=row.duplicate_of_pk or row.document_pk,
    )


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = round((time.perf_counter() - begun) * 1000, 3)
