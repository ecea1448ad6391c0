"""Searches that go through the stages together: what each finds is what it finds alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from api.bootstrap import Service
from ingest.catalogue import Catalogue
from ingest.collections import CollectionSettings
from ingest.errors import DeadlineExceeded, InvalidInput
from ingest.models import PreparedText, TextKind
from retrieve import Access, CrossEncoderReranker, Query, Ranking, Searcher, SearchTask
from tests.fakes import HashingEncoder
from tests.ingest.support import delete, ingest, wait_for
from tests.retrieve.test_search import LastWordScorer

TEXTS = ("when do ferries leave", "dogs of the island", "when do ferries leave", "nothing of the kind")
QUERIES = [
    *(
        Query(text, mode=mode, top_k=top_k)
        for text, mode, top_k in product(TEXTS, ("hybrid", "vector", "lexical"), (1, 9))
    ),
    Query(TEXTS[0], filter={"document_id": "b.txt"}),
    Query(TEXTS[0], filter={"document_id": "none.txt"}),
    Query(TEXTS[1], diversity=0.5),
    Query(TEXTS[1], top_k=200),
]
ACCESSES = (Access.everything(), Access(frozenset()), Access(frozenset({"crew"})))


@pytest.fixture
def island(service: Service) -> Service:
    """Two collections, one with documents for some only and one that was deleted."""
    service.put_collection("other", CollectionSettings())
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Dogs leave their ferries at ten. The island."})
    ingest(service, {"c.txt": b"Dogs of the crew leave ferries.", "d.txt": b"Island dogs."}, access=["crew"])
    ingest(service, {"gone.txt": b"When ferries leave, dogs of the island sleep."})
    ingest(service, {"e.txt": b"Other ferries leave never.", "f.txt": b"Other dogs."}, "other")
    delete(service, "gone.txt")
    service.credibility.settle()
    return service


class StubbornEncoder(HashingEncoder):
    """Takes no text with an exclamation mark, and counts forwards."""

    def __init__(self) -> None:
        super().__init__()
        self.forwards: list[int] = []

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        if any("!" in text for text in texts):
            raise ValueError("there is a text that no tokeniser takes")
        return super().prepare(texts, kind)

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> Any:
        self.forwards.append(len(prepared))
        return super().forward(prepared, kind, fast=fast)


class GatedEncoder(HashingEncoder):
    """Embeds once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> Any:
        assert self.gate.wait(20)
        return super().forward(prepared, kind, fast=fast)


def searcher_of(service: Service, encoder: HashingEncoder | None = None, **parts: Any) -> Searcher:
    """A searcher that remembers nothing yet."""
    return Searcher(
        catalogue=service.catalogue,
        indexes=service.indexes,
        runtime=service.runtime,
        encoder_for=service.encoders.of if encoder is None else lambda _spec: encoder,
        reranker=parts.pop("reranker", None),
        settings=service.settings.model_copy(update=parts),
    )


def task(service: Service, query: Query, access: Access = ACCESSES[0], collection: str = "default") -> SearchTask:
    """A search of the collection's live generation."""
    found = service.collections.get(collection)
    return SearchTask(query, found.pk, found.live_generation, access)


def alone(searcher: Searcher, one: SearchTask) -> Ranking:
    """What the search finds by itself."""
    return searcher.search(one.query, collection_pk=one.collection_pk, generation=one.generation, access=one.access)


def untimed(ranking: Ranking) -> Ranking:
    """Without what no two searches have in common, and scores as exact as their arithmetic."""
    hits = tuple(replace(hit, score=round(hit.score, 5), scores=None) for hit in ranking.hits)  # type: ignore[arg-type]
    return replace(ranking, hits=hits, timings_ms=dict.fromkeys(ranking.timings_ms))  # type: ignore[arg-type]


def test_a_batch_finds_what_its_searches_find_alone(island: Service) -> None:
    """Of any queries, filters, callers and collections side by side, also when they are asked again."""
    tasks = [
        task(island, query, access, collection)
        for query, access, collection in product(QUERIES, ACCESSES, ("default", "other"))
    ]
    expected = [untimed(alone(searcher_of(island), one)) for one in tasks]
    together = searcher_of(island)
    found = [untimed(one) for one in together.begin(tasks).finish() if isinstance(one, Ranking)]
    assert found == expected
    assert sum(bool(ranking.hits) for ranking in found) > len(found) / 2
    again = [one for one in together.begin(tasks).finish() if isinstance(one, Ranking)]
    assert [untimed(one).hits for one in again] == [one.hits for one in expected]
    assert {tuple(one.timings_ms) for one in again} == {("cache",)}


def test_a_batch_embeds_once_and_reads_once(island: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many searches it holds."""
    encoder, reads = StubbornEncoder(), []
    searcher = searcher_of(island, encoder)
    alone(searcher, task(island, Query("warm")))
    encoder.forwards.clear()
    read = Catalogue.read
    monkeypatch.setattr(Catalogue, "read", lambda self: (reads.append(self), read(self))[1])
    outcomes = searcher.begin([task(island, Query(f"ferries {number}")) for number in range(7)]).finish()
    found = [one for one in outcomes if isinstance(one, Ranking) and one.hits]
    assert len(found) == 7
    waited = [one.timings_ms["embed"] for one in found]
    assert waited == sorted(waited)  # of what is made together, everyone has waited for all of it
    assert encoder.forwards == [7]
    assert len(reads) <= 1


def test_what_fails_fails_alone(island: Service) -> None:
    """A filter that is none, a text that no tokeniser takes, a collection without an index."""
    searcher = searcher_of(island, StubbornEncoder())
    good = task(island, Query("ferries"))
    strange = replace(good, generation=replace(good.generation, pk=99, spec=None))  # type: ignore[arg-type]
    outcomes = searcher.begin(
        [task(island, Query("ferries", filter={"$no": 1})), good, task(island, Query("ferries!")), strange, good]
    ).finish()
    wrong, first, unreadable, unknown, second = outcomes
    assert isinstance(wrong, InvalidInput)
    assert isinstance(unreadable, ValueError)
    assert isinstance(unknown, Exception)
    for found in (first, second):
        assert isinstance(found, Ranking)
        assert untimed(found).hits == untimed(alone(searcher_of(island), good)).hits


def test_a_search_waits_its_own_time_for_the_model(island: Service) -> None:
    """One whose time has passed in the queue ends; those beside it wait on, and words need no model."""
    encoder = GatedEncoder()
    searcher = searcher_of(island, encoder, search_timeout_s=20)
    late = replace(task(island, Query("late ferries")), since=time.monotonic() - 30)
    batch = searcher.begin([late, task(island, Query("ferries")), task(island, Query("ferries", mode="lexical"))])

    def open_afterwards() -> None:
        wait_for(lambda: batch._searches[0].outcome is not None)
        encoder.gate.set()

    opening = threading.Thread(target=open_afterwards)
    opening.start()
    expired, found, words = batch.finish()
    opening.join()
    assert isinstance(expired, DeadlineExceeded)
    assert "20 s" in str(expired)
    for one in (found, words):
        assert isinstance(one, Ranking)
        assert one.hits


def test_what_takes_long_is_not_light(island: Service) -> None:
    """Reranking, many hits, an index still to be loaded, and filters or tags that nobody has searched with yet."""
    searcher = searcher_of(island, reranker=CrossEncoderReranker(island.runtime, LastWordScorer()))
    light = task(island, Query("ferries", rerank=False))
    restricted = [
        task(island, Query("ferries", rerank=False, filter={"document_id": "a.txt"})),
        task(island, Query("ferries", rerank=False), ACCESSES[2]),
    ]
    heavy = [
        task(island, Query("ferries")),
        task(island, Query("ferries", rerank=False, top_k=101)),
        replace(light, generation=replace(light.generation, pk=99)),
        *restricted,
    ]
    assert searcher.is_light(light)
    assert [searcher.is_light(one) for one in heavy] == [False] * len(heavy)
    for one in restricted:
        alone(searcher, one)
    assert all(searcher.is_light(one) for one in restricted)
    ingest(island, {"new.txt": b"Another ferry."})
    assert not any(searcher.is_light(one) for one in restricted)
