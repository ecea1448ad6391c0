"""A query's way to ranked evidence: restriction, both indexes side by side, fusion, credibility, reranking, merging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import select

from ingest.caches import CacheStats, LruCache
from ingest.catalogue import Catalogue, schema
from ingest.generations import Generation, GenerationSpec
from ingest.models import Encoder, ModelRuntime
from retrieve import hydration
from retrieve.fusion_weights import FusionTable
from retrieve.hydration import Hydration
from retrieve.joining import joined
from retrieve.query import Access, Query, Ranking, SearchTask
from retrieve.rerank import Reranker, reranks
from retrieve.restriction import Restriction
from retrieve.search_batch import PendingSearch, SearchBatch, SearchParts, counted_encoder
from retrieve.settings import RetrieveSettings
from retrieve.snapshots import Indexes
from retrieve.visibility import VisibleVersions

_LIGHT_TOP_K = 100
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
        self._encoder_for = encoder_for
        self._visible = VisibleVersions()
        self._parts = SearchParts(
            catalogue,
            runtime,
            reranker,
            settings,
            fusion_table or FusionTable(),
            Hydration(catalogue, cached_mib=settings.chunk_cache_mib),
            LruCache(settings.query_cache_entries),
        )
        self._rankings: LruCache[Ranking] = LruCache(settings.result_cache_hits)
        self._restrictions: LruCache[Restriction] = LruCache(_RESTRICTIONS_MAX)

    @property
    def reranker_name(self) -> str | None:
        """The model of the reranking stage; None while the stage is off."""
        return self._parts.reranker.name if self._parts.reranker else None

    def fusion_of(self, spec: GenerationSpec) -> tuple[str, float, float]:
        """How the two lists are joined for a generation: method, worth of a cosine, worth of a BM25 score."""
        fusion, weights = self._parts.fusion_table.fusion_of(spec.embedder, self._parts.settings.fusion)
        return fusion, weights.vector, weights.lexical

    def cache_stats(self) -> Mapping[str, CacheStats]:
        """How well each memory of the search path serves, by its name."""
        return {
            "rankings": self._rankings.stats(),
            "query_embeddings": self._parts.embeddings.stats(),
            "chunks": self._parts.hydration.stats(),
        }

    def evict(self, document_pks: Sequence[int]) -> int:
        """Forget rankings and texts of these documents; returns how many entries there were."""
        gone = frozenset(document_pks)
        rankings = self._rankings.evict(
            lambda ranking: any(hit.document_pk in gone for hit in ranking.hits),
            revision=self._catalogue.revision(_TABLES),
        )
        return rankings + self._parts.hydration.evict(gone)

    def stale_entries(self) -> int:
        """Remembered texts, and hits of remembered rankings, that the catalogue does not bear out."""
        rankings = self._rankings.values(revision=self._catalogue.revision(_TABLES))
        documents = schema.documents
        live = select(documents.c.live_version_pk).where(documents.c.tombstoned_at.is_(None))
        with self._catalogue.read() as connection:
            versions = set(connection.execute(live).scalars())
        gone = sum(hit.version_pk not in versions for ranking in rankings for hit in ranking.hits)
        return gone + self._parts.hydration.stale()

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
        [found] = self.begin([SearchTask(query, collection_pk, generation, access)]).finish()
        if isinstance(found, Exception):
            raise found
        return found

    def begin(self, tasks: Sequence[SearchTask]) -> SearchBatch:
        """Begin several searches, which go through every stage together. Each comes to what `search` gives or raises;
        scores may differ in rounding.
        """
        return SearchBatch(self._parts, [self._begun(task) for task in tasks])

    def is_light(self, task: SearchTask) -> bool:
        """Whether the search takes a few milliseconds beside its embedding, so that others may wait for it.

        Not so where passages are reranked, many are asked for, the index is still to be loaded, or it is still to be
        found out which documents a filter or the caller's tags let see.
        """
        query = task.query
        if query.top_k > _LIGHT_TOP_K or (query.rerank and reranks(self._parts.reranker, query.text)):
            return False
        if not self._indexes.is_resident(task.generation):
            return False
        return (not query.filter and task.access.tags is None) or self._known_restriction(task) is not None

    def join(self, rankings: Sequence[Ranking], *, top_k: int) -> Ranking:
        """One ranking of several searches for one question, at most `top_k` hits; see `retrieve.joining`."""
        return joined(rankings, top_k=top_k, collapse=self._parts.settings.collapse_duplicates)

    def _begun(self, task: SearchTask) -> PendingSearch:
        """The search with all that it needs to know, or with its outcome where that is remembered, or failed."""
        search = PendingSearch(task)
        begun = time.perf_counter()
        try:
            revision = self._catalogue.revision(_TABLES)
            # snapshot first: the catalogue still knows what it holds, while an older restriction would miss it
            search.snapshot = self._indexes.snapshot(task.collection_pk, task.generation)
            key = (*_scope(task), task.generation.pk, search.snapshot.seq, *_query_key(task.query))
            known = self._rankings.get(key, revision=revision)
            if known is not None:
                search.outcome = replace(known, timings_ms={"cache": round((time.perf_counter() - begun) * 1000, 3)})
                return search
            with search.stage("restrict"):
                search.restriction = self._restriction(task)
            search.encoder = counted_encoder(task, self._encoder_for(task.generation.spec))
        except Exception as failure:  # noqa: BLE001 - it is this search's outcome
            search.outcome = failure
            return search
        search.remember = partial(self._remember, key, revision)
        return search

    def _remember(self, key: Hashable, revision: int, ranking: Ranking) -> None:
        self._rankings.put(key, ranking, weight=1 + len(ranking.hits), revision=revision)

    def _restriction(self, task: SearchTask) -> Restriction:
        """What may be seen; the catalogue is not asked where none of its tables changed since.

        Called with the snapshot in hand, so that what is remembered is never older than it.
        """
        revision = self._catalogue.revision(_TABLES)
        known = self._known_restriction(task)
        if known is None:
            with self._catalogue.read() as connection:
                known = self._visible.restriction(connection, task.collection_pk, task.query.filter, task.access)
            conditions = _conditions_key(task.query)
            if conditions is not None:
                self._restrictions.put((*_scope(task), conditions), known, revision=revision)
        return known

    def _known_restriction(self, task: SearchTask) -> Restriction | None:
        conditions = _conditions_key(task.query)
        if conditions is None:
            return None
        revision = self._catalogue.revision(_TABLES)
        return self._restrictions.get((*_scope(task), conditions), revision=revision)


def _scope(task: SearchTask) -> tuple[Hashable, ...]:
    return task.collection_pk, task.access.tags


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
