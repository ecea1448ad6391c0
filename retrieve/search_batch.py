"""Searches that go through every stage together: one forward embeds their queries, one statement brings their rows.

With many clients a search costs less so, because the weights of the model and the vectors of the index are fetched into
the processor's cache once for all of them, and threads do not take turns at Python's lock. Each search has its own
outcome: what one of them fails of, the others do not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ingest.caches import LruCache
from ingest.catalogue import Catalogue
from ingest.errors import DeadlineExceeded
from ingest.models import Encoder, FloatArray, ModelRuntime
from retrieve.candidates import Candidates
from retrieve.collapse import collapse_duplicates
from retrieve.diversity import diversified, vectors_of
from retrieve.fusion import FusedHit, embedder_fits
from retrieve.fusion_weights import FusionTable, fuse_vector_and_lexical
from retrieve.generation_index import Snapshot
from retrieve.hydration import Hydration
from retrieve.merging import merge_neighbours
from retrieve.query import Hit, Ranking, SearchTask
from retrieve.query_terms import query_terms
from retrieve.rerank import Reranker, reranks
from retrieve.restriction import Restriction
from retrieve.settings import RetrieveSettings

_HYDRATE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class SearchParts:
    """What every search works with. All of it is thread-safe."""

    catalogue: Catalogue
    runtime: ModelRuntime
    reranker: Reranker | None
    settings: RetrieveSettings
    fusion_table: FusionTable
    hydration: Hydration
    embeddings: LruCache[FloatArray]


@dataclass(slots=True, eq=False)
class PendingSearch:
    """A search under way, with what its stages have found so far; `outcome` is there when it has come to its end."""

    task: SearchTask
    outcome: Ranking | Exception | None = None
    remember: Callable[[Ranking], None] = lambda _ranking: None
    snapshot: Snapshot | None = None
    restriction: Restriction = Restriction.EVERYTHING
    encoder: Encoder | None = None
    """None where the vectors do not count."""
    embedding: FloatArray | None = None
    lexical: Candidates = field(default_factory=Candidates.none)
    vector: Candidates = field(default_factory=Candidates.none)
    fused: tuple[FusedHit, ...] = ()
    hits: list[Hit] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def published(self) -> Snapshot:
        """The snapshot that it searches; it has one unless it came to its end before."""
        assert self.snapshot is not None
        return self.snapshot

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Notes the time of a stage, and of what fails there makes the outcome."""
        begun = time.perf_counter()
        try:
            yield
        except Exception as failure:  # noqa: BLE001 - it belongs to this search, not to those beside it
            self.outcome = failure
        self.note(name, begun)

    def note(self, stage: str, begun: float) -> None:
        """The stage has taken from `begun` (`time.perf_counter`) until now."""
        self.timings[stage] = round((time.perf_counter() - begun) * 1000, 3)


class SearchBatch:
    """Searches, begun: the model embeds their queries. `advance` does what can be done meanwhile and waits for it,
    `finish` the rest. For one thread.
    """

    def __init__(self, parts: SearchParts, searches: Sequence[PendingSearch]) -> None:
        self._parts = parts
        self._searches = searches
        self._embedding: list[tuple[PendingSearch, Callable[[float | None], FloatArray]]] = []
        self._advanced = False
        wanted: dict[tuple[str, str], list[PendingSearch]] = {}
        for search in self._open():
            if (encoder := search.encoder) is not None:
                search.embedding = parts.embeddings.get(_embedding_key(encoder, search))
                if search.embedding is None:
                    wanted.setdefault((encoder.name, encoder.revision), []).append(search)
        for searches in wanted.values():
            self._begin_embedding(searches)

    def advance(self) -> None:
        """Search the lexical indexes while the model works; then wait for the vectors."""
        self._advanced = True
        for search in self._open():
            if search.task.query.mode != "vector":
                with search.stage("lexical"):
                    search.lexical = self._lexical(search)
        begun = time.perf_counter()
        for search, wait in self._embedding:
            if search.outcome is None:
                with search.stage("embed"):
                    self._embed(search, wait)
                search.note("embed", begun)

    def finish(self) -> list[Ranking | Exception]:
        """The outcome of each search, in order."""
        if not self._advanced:
            self.advance()
        for search in self._open():
            if search.embedding is not None:
                assert search.encoder is not None
                with search.stage("vector"):
                    found = search.published.vector.search(
                        search.embedding, top_k=self._depth(search), restriction=search.restriction
                    )
                    search.vector = found.from_score(search.encoder.least_cosine(search.task.query.text))
        for search in self._open():
            with search.stage("fuse"):
                search.fused = self._fuse(search)
        self._hydrate(list(self._open()))
        for search in self._open():
            try:
                self._order(search)
            except Exception as failure:  # noqa: BLE001 - as in a stage
                search.outcome = failure
        return [_outcome(search) for search in self._searches]

    def _open(self) -> Iterator[PendingSearch]:
        return (search for search in self._searches if search.outcome is None)

    def _begin_embedding(self, searches: list[PendingSearch]) -> None:
        """Should it fail, each is begun by itself: one text that no tokeniser takes is not the others' fault."""
        encoder = searches[0].encoder
        assert encoder is not None
        try:
            waits = self._parts.runtime.begin_queries(encoder, [search.task.query.text for search in searches])
        except Exception as failure:  # noqa: BLE001 - see above
            if len(searches) == 1:
                searches[0].outcome = failure
                return
            for search in searches:
                self._begin_embedding([search])
        else:
            self._embedding += zip(searches, waits, strict=True)

    def _embed(self, search: PendingSearch, wait: Callable[[float | None], FloatArray]) -> None:
        """The time that a search has counts from its coming, not from that of its batch."""
        timeout_s = self._parts.settings.search_timeout_s
        try:
            search.embedding = wait(max(0.0, search.task.since + timeout_s - time.monotonic()))
        except DeadlineExceeded as failure:
            raise DeadlineExceeded(
                f"the search was not embedded within {timeout_s:g} s; try again, or raise the deadline"
            ) from failure
        assert search.encoder is not None
        self._parts.embeddings.put(_embedding_key(search.encoder, search), search.embedding)

    def _lexical(self, search: PendingSearch) -> Candidates:
        lexical = search.published.lexical
        terms = query_terms(search.task.query.text, lexical, spelling=self._parts.settings.spelling)
        return lexical.search(terms, top_k=self._depth(search), restriction=search.restriction)

    def _fuse(self, search: PendingSearch) -> tuple[FusedHit, ...]:
        """The best fused chunks: more than are asked for, because neighbours become one."""
        settings, query = self._parts.settings, search.task.query
        fusion, weights = self._parts.fusion_table.fusion_of(search.task.generation.spec.embedder, settings.fusion)
        wanted = max(query.top_k, settings.rerank_candidates) if self._is_reranked(search) else query.top_k
        return fuse_vector_and_lexical(
            search.vector,
            search.lexical,
            top_k=wanted * _HYDRATE_FACTOR,
            depth=self._depth(search),
            fusion=fusion,
            weights=weights,
            use_vector=search.encoder is not None,
            use_lexical=query.mode != "vector",
        )

    def _hydrate(self, searches: list[PendingSearch]) -> None:
        begun, weight = time.perf_counter(), self._parts.settings.credibility_weight
        try:
            rows = self._parts.hydration.rows([hit.chunk for search in searches for hit in search.fused])
        except Exception as failure:  # noqa: BLE001 - the outcome of all that need rows
            for search in searches:
                search.outcome = failure
            return
        for search in searches:
            with search.stage("hydrate"):
                search.hits = self._parts.hydration.hits(search.fused, rows, credibility_weight=weight)
            search.note("hydrate", begun)

    def _order(self, search: PendingSearch) -> None:
        """The hits as they are shown."""
        settings, query, reranker = self._parts.settings, search.task.query, None
        if settings.collapse_duplicates:
            with search.stage("collapse"):
                search.hits = collapse_duplicates(search.hits)
        if self._is_reranked(search):
            reranker = self._parts.reranker
            assert reranker is not None
            with search.stage("rerank"):
                head = search.hits[: max(settings.rerank_candidates, query.top_k)]  # what it does not read is left out
                search.hits = reranker.rerank(query.text, head, timeout_s=settings.search_timeout_s)
        if search.outcome is not None:
            return
        shown = self._varied(search, merge_neighbours(search.hits))[: query.top_k]
        search.outcome = Ranking(
            tuple(replace(hit, rank=rank) for rank, hit in enumerate(shown, start=1)),
            search.task.generation.generation,
            search.published.seq,
            None if reranker is None else reranker.name,
            search.encoder is not None,
            search.timings,
        )
        search.remember(search.outcome)

    def _varied(self, search: PendingSearch, hits: list[Hit]) -> list[Hit]:
        query = search.task.query
        diversity = self._parts.settings.diversity if query.diversity is None else query.diversity
        if not diversity:
            return hits
        vectors = vectors_of(self._parts.catalogue, hits)
        return diversified(hits, vectors, diversity=diversity, top_k=query.top_k)

    def _is_reranked(self, search: PendingSearch) -> bool:
        return search.task.query.rerank and reranks(self._parts.reranker, search.task.query.text)

    def _depth(self, search: PendingSearch) -> int:
        return max(self._parts.settings.candidates, search.task.query.top_k * _HYDRATE_FACTOR)


def counted_encoder(task: SearchTask, encoder: Encoder) -> Encoder | None:
    """The encoder of a search whose vectors count: one that cannot read the query's script is left out of a hybrid."""
    query = task.query
    fits = query.mode == "hybrid" and embedder_fits(query.text, languages=encoder.languages)
    return encoder if query.mode == "vector" or fits else None


def _embedding_key(encoder: Encoder, search: PendingSearch) -> tuple[str, str, str]:
    return encoder.name, encoder.revision, search.task.query.text


def _outcome(search: PendingSearch) -> Ranking | Exception:
    assert search.outcome is not None
    return search.outcome
