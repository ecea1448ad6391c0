"""Search from query to hits: modes, credibility, reranking, merging of neighbours, access, tombstones."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from sqlalchemy import update

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.credibility import Credibility
from ingest.errors import DeadlineExceeded, InvalidInput, Unavailable
from ingest.models import CrossEncoderScorer, FloatArray, ModelRuntime, Pair
from retrieve import Access, CrossEncoderReranker, Hit, Query, Ranking, Reranker, Scores, Searcher
from retrieve.merging import merge_neighbours
from tests.fakes import HashingEncoder
from tests.ingest.support import delete, ingest, search

LONG = " ".join(f"Sentence {number} speaks of {word} on the island." for number, word in enumerate("abcdefghij" * 6))


class LastWordScorer:
    """Likes passages whose last word stands late in the alphabet."""

    name = "last-word"

    def __init__(self) -> None:
        self.seen: list[Pair] = []

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        self.seen += pairs
        return np.array([ord(passage.split()[-1][0]) for _, passage in pairs], np.float32)


class SlowScorer(LastWordScorer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        assert self.gate.wait(20)
        return super().score(pairs)


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    """A runtime for rerankers."""
    opened = ModelRuntime()
    yield opened
    opened.close()


def ranking(service: Service, query: Query, reranker: Reranker | None = None, **settings: object) -> Ranking:
    """Search the default collection with a searcher of its own."""
    collection = service.collections.get("default")
    searcher = Searcher(
        catalogue=service.catalogue,
        indexes=service.indexes,
        runtime=service.runtime,
        encoder_for=service.encoders.of,
        reranker=reranker,
        settings=service.settings.model_copy(update=settings),
    )
    return searcher.search(
        query, collection_pk=collection.pk, generation=collection.live_generation, access=Access.everything()
    )


def hit(start: int, end: int, *, score: float = 1.0, version_pk: int = 1, page: int | None = None) -> Hit:
    """A hit on characters `[start, end)` of the digits and letters, repeated."""
    return Hit(
        rank=0,
        chunk_id=f"{start}",
        document_id="d",
        document_pk=1,
        version=1,
        version_pk=version_pk,
        title=None,
        page=page,
        heading=None,
        char_start=start,
        char_end=end,
        text=TEXT[start:end],
        score=score,
        scores=Scores(None, None, score, None, 0.5),
        language=None,
        document_date=None,
        credibility=Credibility(),
    )


TEXT = "0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("spans", "merged"),
    [
        ([], []),
        ([(0, 5)], [(0, 5)]),
        ([(0, 5), (5, 9)], [(0, 5), (5, 9)]),
        ([(0, 5), (4, 9)], [(0, 9)]),
        ([(4, 9), (0, 5)], [(0, 9)]),
        ([(0, 9), (2, 5)], [(0, 9)]),
        ([(0, 5), (8, 13), (4, 9)], [(0, 13)]),
        ([(0, 5), (20, 25), (4, 9)], [(0, 9), (20, 25)]),
        ([(0, 5), (4, 9), (8, 13), (12, 17)], [(0, 13), (12, 17)]),
        ([(0, 5), (12, 17), (8, 13), (4, 9)], [(0, 5), (4, 17)]),
    ],
)
def test_overlapping_hits_of_one_version_are_merged(
    spans: list[tuple[int, int]], merged: list[tuple[int, int]]
) -> None:
    """At the best one's place, up to three chunks; the text is that of the version; touching is not overlapping."""
    hits = [hit(start, end, score=1 - place / 10, page=start) for place, (start, end) in enumerate(spans)]
    found = merge_neighbours(hits)
    assert [(one.char_start, one.char_end) for one in found] == merged
    assert [one.text for one in found] == [TEXT[start:end] for start, end in merged]
    assert [one.page for one in found] == [start for start, _ in merged]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_hits_of_different_versions_are_not_merged() -> None:
    """The same offsets in another text mean nothing."""
    assert len(merge_neighbours([hit(0, 5), hit(0, 5, version_pk=2)])) == 2


def test_a_merged_hit_is_a_slice_of_its_version(service: Service) -> None:
    """To the character, for every hit, with pages of overlapping chunks."""
    ingest(service, {"a.txt": LONG.encode()})
    text = service.documents.text(service.collections.get("default"), "a.txt").text
    hits = search(service, "island sentence speaks", top_k=20)
    assert all(one.text == text[one.char_start : one.char_end] for one in hits)
    assert max(one.char_end - one.char_start for one in hits) > 300
    assert [one.rank for one in hits] == list(range(1, len(hits) + 1))


@pytest.mark.parametrize(
    ("mode", "vector", "lexical"), [("hybrid", True, True), ("vector", True, False), ("lexical", False, True)]
)
def test_modes(service: Service, mode: str, vector: bool, lexical: bool) -> None:
    """Each mode shows the scores of the stages it used, and how long they took."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Dogs travel free."})
    found = ranking(service, Query("ferries leave", mode=mode))  # type: ignore[arg-type]
    best = found.hits[0]
    assert best.document_id == "a.txt"
    assert (best.scores.vector is not None, best.scores.lexical is not None) == (vector, lexical)
    assert found.vector_used is vector
    assert {"embed", "vector"} <= set(found.timings_ms) or not vector
    assert ("lexical" in found.timings_ms) is lexical


def test_a_script_that_the_embedder_cannot_read_is_left_to_the_words(service: Service) -> None:
    """An English embedder has no part in a Chinese hybrid query, unless it is asked for."""
    ingest(service, {"a.txt": "渡轮九点离港。".encode(), "b.txt": b"Ferries leave at nine."})
    encoder = service.encoders.default
    assert isinstance(encoder, HashingEncoder)
    encoder.languages = ("en",)
    assert ranking(service, Query("渡轮几点离港")).vector_used is False
    assert [one.document_id for one in ranking(service, Query("渡轮")).hits] == ["a.txt"]
    assert ranking(service, Query("渡轮", mode="vector")).vector_used is True
    assert ranking(service, Query("ferries")).vector_used is True


def test_vectors_too_far_apart_find_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the embedder's least cosine a neighbour is one by chance: words alone remain, or nothing."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Dogs travel free."})
    assert len(ranking(service, Query("ferries leave", mode="vector")).hits) == 2
    monkeypatch.setattr(HashingEncoder, "least_cosine", lambda self, query: 0.5)
    assert [one.document_id for one in ranking(service, Query("ferries leave", mode="vector")).hits] == ["a.txt"]
    monkeypatch.setattr(HashingEncoder, "least_cosine", lambda self, query: 0.999)
    assert ranking(service, Query("ferries leave at", mode="vector")).hits == ()
    assert {one.document_id for one in ranking(service, Query("dogs and ferries")).hits} == {"a.txt", "b.txt"}


def test_top_k_bounds_the_hits(service: Service) -> None:
    """Also when there are more; the ranks count from 1."""
    ingest(service, {f"{number}.txt": f"Ferries leave at {number}.".encode() for number in range(8)})
    assert [one.rank for one in search(service, "ferries leave", top_k=3)] == [1, 2, 3]


def test_nothing_is_found_in_nothing(service: Service) -> None:
    """An empty collection, and a query of no words."""
    assert search(service, "ferries") == ()
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    assert search(service, "", mode="lexical") == ()
    assert search(service, "?!", mode="lexical") == ()


def test_credibility_moves_a_score_as_documented(service: Service) -> None:
    """Of two equal passages the more credible comes first; 0 and 1 are the weight apart, around the fused score."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Ferries leave at nine."})
    documents = schema.documents
    for document_id, value in (("a.txt", 0.0), ("b.txt", 1.0)):
        change = update(documents).where(documents.c.document_id == document_id).values(credibility=value)
        service.catalogue.write(lambda connection, change=change: connection.execute(change))
    found = ranking(
        service, Query("ferries leave", mode="lexical"), credibility_weight=0.2, collapse_duplicates=False
    ).hits
    assert [one.document_id for one in found] == ["b.txt", "a.txt"]
    assert [one.score / one.scores.fused for one in found] == pytest.approx([1.1, 0.9])
    neutral = ranking(
        service, Query("ferries leave", mode="lexical"), credibility_weight=0.0, collapse_duplicates=False
    ).hits
    assert [one.document_id for one in neutral] == ["a.txt", "b.txt"]


def test_a_reranker_orders_the_best_candidates(service: Service, runtime: ModelRuntime) -> None:
    """It reads query and passage, its scores are shown and decide; what it did not read is left out."""
    ingest(service, {f"{word}.txt": f"Ferries leave from {word}.".encode() for word in ("alpha", "zulu", "mike")})
    scorer = LastWordScorer()
    reranker = CrossEncoderReranker(runtime, scorer)
    found = ranking(service, Query("ferries leave", top_k=2), reranker, rerank_candidates=3)
    assert [one.document_id for one in found.hits] == ["zulu.txt", "mike.txt"]
    assert found.reranker == "last-word"
    assert {question for question, _ in scorer.seen} == {"ferries leave"}
    assert [one.scores.rerank for one in found.hits] == [one.score for one in found.hits]
    assert [one.score for one in found.hits] == sorted((one.score for one in found.hits), reverse=True)
    plain = ranking(service, Query("ferries leave", rerank=False), reranker)
    assert plain.reranker is None
    assert all(one.scores.rerank is None for one in plain.hits)


def test_a_slow_reranker_meets_the_deadline(service: Service, runtime: ModelRuntime) -> None:
    """The search fails in time instead of waiting."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    scorer = SlowScorer()
    with pytest.raises(DeadlineExceeded):
        ranking(service, Query("ferries"), CrossEncoderReranker(runtime, scorer), search_timeout_s=0.05)
    scorer.gate.set()


def test_a_tombstone_takes_effect_on_the_next_search(service: Service) -> None:
    """In every mode; after the purge as well."""
    ingest(service, {"a.txt": b"Ferries leave at nine.", "b.txt": b"Ferries leave at ten."})
    collection = service.collections.get("default")
    service.deletion.delete_documents(collection, ["a.txt"], key_id=None)
    for mode in ("hybrid", "vector", "lexical"):
        assert [one.document_id for one in search(service, "ferries leave", mode=mode)] == ["b.txt"]
    delete(service, "b.txt")
    assert search(service, "ferries leave") == ()


def test_access_is_applied_before_ranking(service: Service) -> None:
    """The best passages are out of reach, and yet the page is full."""
    secret = {f"s{number}.txt": f"Ferries leave at nine, {number}.".encode() for number in range(12)}
    ingest(service, secret, access=["board"])
    ingest(service, {"a.txt": b"Ferries and dogs.", "b.txt": b"Ferries, dogs and bicycles."})
    for mode in ("hybrid", "vector", "lexical"):
        hits = search(service, "ferries leave at nine", access=Access(frozenset({"staff"})), top_k=2, mode=mode)
        assert {one.document_id for one in hits} == {"a.txt", "b.txt"}
    hits = search(service, "ferries leave at nine", access=Access(frozenset({"board"})), top_k=20)
    assert len(hits) == 14


def test_a_filter_is_applied_before_ranking(service: Service) -> None:
    """As with access; a bad one is refused."""
    ingest(service, {f"s{number}.txt": b"Ferries leave at nine." for number in range(12)}, metadata={"year": 2024})
    ingest(service, {"a.txt": b"Ferries and dogs."}, metadata={"year": 2025})
    hits = search(service, "ferries leave at nine", top_k=1, filter={"metadata.year": {"$gte": 2025}})
    assert [one.document_id for one in hits] == ["a.txt"]
    with pytest.raises(InvalidInput):
        search(service, "ferries", filter={"year": 2025})


def test_a_hit_carries_what_a_citation_needs(service: Service) -> None:
    """Document, version, place, date, language and credibility."""
    metadata = {"title": "Timetable", "date": "2025-03-01"}
    ingest(service, {"a.txt": b"The last ferry of the evening leaves the harbour at nine."}, metadata=metadata)
    found = search(service, "last ferry")[0]
    assert (found.document_id, found.version, found.title) == ("a.txt", 1, "Timetable")
    assert (found.char_start, found.char_end, found.language) == (0, 57, "en")
    assert found.document_date == "2025-03-01"
    assert found.credibility.extraction == 1.0
    assert found.scores.credibility == pytest.approx(found.credibility.score)


def test_a_reranker_that_cannot_be_loaded_is_unavailable(tmp_path: object) -> None:
    """The error says what to give instead."""
    with pytest.raises(Unavailable, match="give a path"):
        CrossEncoderScorer(f"{tmp_path}/nothing")


def test_a_search_after_the_models_are_closed_says_so(service: Service) -> None:
    """A late request learns that the service is shutting down."""
    ingest(service, {"a.txt": b"Ferries leave at nine."})
    service.runtime.close()
    with pytest.raises(Unavailable, match="shutting down"):
        search(service, "ferries")


def test_a_question_with_a_slip_or_another_way_to_write_a_day_finds_its_document(service: Service) -> None:
    """By words alone; without mending the slip there is nothing to find. The document that is right says so itself."""
    ingest(service, {"a.txt": b"The chandlery closes at noon.", "b.txt": b"Signed on 5 January 2024 by both."})
    slip = Query("chandelry", mode="lexical")
    assert [hit.document_id for hit in ranking(service, slip).hits] == ["a.txt"]
    assert ranking(service, slip, spelling=False).hits == ()
    assert [hit.document_id for hit in ranking(service, Query("2024-01-05", mode="lexical")).hits] == ["b.txt"]


def test_variety_puts_another_passage_before_a_repetition(service: Service) -> None:
    """By the request, else by the settings; another variety is another question to the cache."""
    ingest(
        service,
        {
            "a.txt": b"ferry ferry ferry times of the ferry",
            "b.txt": b"ferry ferry times of the ferry",
            "c.txt": b"the ferry has a kitchen with soup",
        },
    )

    def found(asked: float | None, **settings: object) -> list[str]:
        query = Query("ferry times", top_k=2, diversity=asked)
        return [hit.document_id for hit in ranking(service, query, **settings).hits]

    assert sorted(found(None)) == ["a.txt", "b.txt"]
    assert "c.txt" in found(0.9)
    assert found(None, diversity=0.9) == found(0.9)
