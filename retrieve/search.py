"""A query's way to ranked evidence: restriction, both indexes side by side, fusion, credibility, reranking, merging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import select

from ingest.caches import CacheStats, LruCache
from ingest.catalogue import Catalogue, schema
from ingest.generations import Generation, GenerationSpec
from ingest.models import Encoder, FloatArray, ModelRuntime, Priority
from retrieve import hydration
from retrieve.candidates import Candidates
from retrieve.collapse import collapse_duplicates
from retrieve.diversity import diversified, vectors_of
from retrieve.fusion import FusedHit, embedder_fits
from retrieve.fusion_weights import FusionTable, fuse_vector_and_lexical
from retrieve.generation_index import Snapshot
from retrieve.hydration import Hydration
from retrieve.joining import joined
from retrieve.merging import merge_neighbours
from retrieve.query import Access, Hit, Query, Ranking
from retrieve.query_terms import query_terms
from retrieve.rerank import Reranker, reranks
from retrieve.restriction import Restriction
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from retrieve.visibility import VisibleVersions

_HYDRATE_FACTOR = 3
_RESTRICTIONS_MAX = 32
_TABLES = (*hydration.TABLES, schema.document_access, schema.generations, schema.collections)
"""A change of one of these may change a ranking."""


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
        fusion_table: FusionTable | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._indexes = indexes
        self._runtime = runtime
        self._encoder_for = encoder_for
        self._reranker = reranker
        self._settings = settings
        self._fusion_table = fusion_table or FusionTable()
        self._visible = VisibleVersions()
        self._hydration = Hydration(catalogue, cached_mib=settings.chunk_cache_mib)
        self._embeddings: LruCache[FloatArray] = LruCache(settings.query_cache_entries)
        self._rankings: LruCache[Ranking] = LruCache(settings.result_cache_hits)
        self._restrictions: LruCache[Restriction] = LruCache(_RESTRICTIONS_MAX)

    @property
    def reranker_name(self) -> str | None:
        """The model of the reranking stage; None while the stage is off."""
        return self._reranker.name if self._reranker else None

    def fusion_of(self, spec: GenerationSpec) -> tuple[str, float, float]:
        """How the two lists are joined for a generation: method, worth of a cosine, worth of a BM25 score."""
        fusion, weights = self._fusion_table.fusion_of(spec.embedder, self._settings.fusion)
        return fusion, weights.vector, weights.lexical

    def cache_stats(self) -> Mapping[str, CacheStats]:
        """How well each memory of the search path serves, by its name."""
        return {
            "rankings": self._rankings.stats(),
            "query_embeddings": self._embeddings.stats(),
            "chunks": self._hydration.stats(),
        }

    def evict(self, document_pks: Sequence[int]) -> int:
        """Forget rankings and texts of these documents; returns how many entries there were."""
        gone = frozenset(document_pks)
        rankings = self._rankings.evict(
            lambda ranking: any(hit.document_pk in gone for hit in ranking.hits),
            revision=self._catalogue.revision(_TABLES),
        )
        return rankings + self._hydration.evict(gone)

    def stale_entries(self) -> int:
        """Remembered texts, and hits of remembered rankings, that the catalogue does not bear out."""
        rankings = self._rankings.values(revision=self._catalogue.revision(_TABLES))
        documents = schema.documents
        live = select(documents.c.live_version_pk).where(documents.c.tombstoned_at.is_(None))
        with self._catalogue.read() as connection:
            versions = set(connection.execute(live).scalars())
        gone = sum(hit.version_pk not in versions for ranking in rankings for hit in ranking.hits)
        return gone + self._hydration.stale()

    def snapshot_seq(self, *, collection_pk: int, generation: Generation) -> int:
        """The change of the log up to which searches that begin now see the collection. Errors as `search`."""
        return self._indexes.snapshot(collection_pk, generation).seq

    def search(self, query: Query, *, collection_pk: int, generation: Generation, access: Access) -> Ranking:
        """Hits by score, highest first, at most `query.top_k`; equal scores in order of ingestion.

        Sees the state of the published snapshot, without tombstoned documents and without those that `access` or the
        filter exclude; both apply before scoring. The ranking of the same query is remembered until a document
        changes; `timings_ms` then names the stage `cache` only. Raises `InvalidInput` for a bad filter,
        `DeadlineExceeded` and `Overloaded` when a model is too slow or too busy, `Unavailable` when the index cannot
        be loaded.
        """
        begun = time.perf_counter()
        revision = self._catalogue.revision(_TABLES)
        # snapshot first: the catalogue still knows what the snapshot holds, while an older restriction would miss it
        snapshot = self._indexes.snapshot(collection_pk, generation)
        key = (collection_pk, access.tags, generation.pk, snapshot.seq, *_query_key(query))
        known = self._rankings.get(key, revision=revision)
        if known is not None:
            return replace(known, timings_ms={"cache": round((time.perf_counter() - begun) * 1000, 3)})
        ranking = self._search(query, collection_pk, generation, snapshot, access)
        self._rankings.put(key, ranking, weight=1 + len(ranking.hits), revision=revision)
        return ranking

    def join(self, rankings: Sequence[Ranking], *, top_k: int) -> Ranking:
        """One ranking of several searches for one question, at most `top_k` hits; see `retrieve.joining`."""
        return joined(rankings, top_k=top_k, collapse=self._settings.collapse_duplicates)

    def _search(
        self,
        query: Query,
        collection_pk: int,
        generation: Generation,
        snapshot: Snapshot,
        access: Access,
    ) -> Ranking:
        timings: dict[str, float] = {}
        with _timed(timings, "restrict"):
            restriction = self._restriction(query, collection_pk, access)
        vector, lexical, vector_used = self._candidates(query, generation, snapshot, restriction, timings)
        reranked = query.rerank and reranks(self._reranker, query.text)
        with _timed(timings, "fuse"):
            fused = self._fuse(query, generation, vector, lexical, vector_used, reranked=reranked)
        with _timed(timings, "hydrate"):
            hits = self._hydration.hits(fused, credibility_weight=self._settings.credibility_weight)
        if self._settings.collapse_duplicates:
            with _timed(timings, "collapse"):
                hits = collapse_duplicates(hits)
        if reranked:
            assert self._reranker is not None
            with _timed(timings, "rerank"):
                head = hits[: max(self._settings.rerank_candidates, query.top_k)]  # what it does not read is left out
                hits = self._reranker.rerank(query.text, head, timeout_s=self._settings.search_timeout_s)
        shown = self._varied(query, merge_neighbours(hits))[: query.top_k]
        hits = [replace(hit, rank=rank) for rank, hit in enumerate(shown, start=1)]
        return Ranking(
            tuple(hits),
            generation.generation,
            snapshot.seq,
            self.reranker_name if reranked else None,
            vector_used,
            timings,
        )

    def _restriction(self, query: Query, collection_pk: int, access: Access) -> Restriction:
        """What may be seen; the catalogue is not asked where none of its tables changed since.

        Called with the snapshot in hand, so that what is remembered is never older than it.
        """
        revision = self._catalogue.revision(_TABLES)
        conditions = _conditions_key(query)
        key = (collection_pk, access.tags, conditions)
        known = None if conditions is None else self._restrictions.get(key, revision=revision)
        if known is None:
            with self._catalogue.read() as connection:
                known = self._visible.restriction(connection, collection_pk, query.filter, access)
            if conditions is not None:
                self._restrictions.put(key, known, revision=revision)
        return known

    def _varied(self, query: Query, hits: list[Hit]) -> list[Hit]:
        diversity = self._settings.diversity if query.diversity is None else query.diversity
        if not diversity:
            return hits
        vectors = vectors_of(self._catalogue, hits)
        return diversified(hits, vectors, diversity=diversity, top_k=query.top_k)

    def _candidates(
        self,
        query: Query,
        generation: Generation,
        snapshot: Snapshot,
        restriction: Restriction,
        timings: dict[str, float],
    ) -> tuple[Candidates, Candidates, bool]:
        """Candidates of the vector and of the lexical index, and whether the vectors count.

        An embedder that cannot read the query's script is left out of a hybrid search. While the model embeds the
        query, this thread searches the lexical index.
        """
        depth = self._depth(query)
        encoder = self._encoder_for(generation.spec)
        vector_used = query.mode == "vector" or (
            query.mode == "hybrid" and embedder_fits(query.text, languages=encoder.languages)
        )
        embedded = self._begin_embedding(query.text, encoder) if vector_used else None
        lexical = Candidates.none()
        if query.mode != "vector":
            with _timed(timings, "lexical"):
                terms = query_terms(query.text, snapshot.lexical, spelling=self._settings.spelling)
                lexical = snapshot.lexical.search(terms, top_k=depth, restriction=restriction)
        if embedded is None:
            return Candidates.none(), lexical, vector_used
        with _timed(timings, "embed"):
            embedding = embedded()
        with _timed(timings, "vector"):
            return snapshot.vector.search(embedding, top_k=depth, restriction=restriction), lexical, vector_used

    def _begin_embedding(self, text: str, encoder: Encoder) -> Callable[[], FloatArray]:
        """The function that waits for the query's vector, float32 of shape (dimensions,), where it is not known yet."""
        key = (encoder.name, encoder.revision, text)
        known = self._embeddings.get(key)
        if known is not None:
            return lambda: known
        begun = self._runtime.begin_embedding(encoder, [text], kind="query", priority=Priority.QUERY)

        def finish() -> FloatArray:
            vector: FloatArray = begun(self._settings.search_timeout_s)[0]
            self._embeddings.put(key, vector)
            return vector

        return finish

    def _fuse(
        self,
        query: Query,
        generation: Generation,
        vector: Candidates,
        lexical: Candidates,
        vector_used: bool,
        *,
        reranked: bool,
    ) -> tuple[FusedHit, ...]:
        """The best fused chunks: more than are asked for, because neighbours become one."""
        fusion, weights = self._fusion_table.fusion_of(generation.spec.embedder, self._settings.fusion)
        wanted = max(query.top_k, self._settings.rerank_candidates) if reranked else query.top_k
        return fuse_vector_and_lexical(
            vector,
            lexical,
            top_k=wanted * _HYDRATE_FACTOR,
            depth=self._depth(query),
            fusion=fusion,
            weights=weights,
            use_vector=vector_used,
            use_lexical=query.mode != "vector",
        )

    def _depth(self, query: Query) -> int:
        return max(self._settings.candidates, query.top_k * _HYDRATE_FACTOR)


def _query_key(query: Query) -> tuple[Hashable, ...]:
    """Equal for equal queries. A filter that is no JSON is its own key: whoever reads it says what is wrong."""
    conditions = _conditions_key(query) or id(query)
    return query.text, query.top_k, query.mode, query.rerank, query.diversity, conditions


def _conditions_key(query: Query) -> str | None:
    """Equal for equal filters; None for one that is no JSON."""
    try:
        return json.dumps(query.filter, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return None


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = round((time.perf_counter() - begun) * 1000, 3)
