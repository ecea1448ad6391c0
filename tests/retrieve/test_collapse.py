"""What repeats a better hit of a near duplicate is left out; what differs in one word stays."""

from __future__ import annotations

from typing import Any

from api.bootstrap import Service
from ingest.credibility import Credibility
from retrieve import Access, Hit, Query
from retrieve.collapse import collapse_duplicates
from retrieve.query import Scores
from tests.ingestion import ingest as ingest_uploads
from tests.ingestion import ingest_texts, upload

NOTICE = " ".join(f"Paragraph {number} of the notice speaks of matter {number}." for number in range(12))


def hit(document: int, original: int, text: str) -> Hit:
    """A hit of a document that repeats another, or itself."""
    scores = Scores(None, None, 1.0, None, 0.5)
    return Hit(
        0, "c", f"d{document}", document, 1, document, None, None, None, 0, len(text), text, 1.0, scores, None, None,
        Credibility(), original_pk=original,
    )  # fmt: skip


def collapsed(*hits: Hit) -> list[tuple[str, tuple[str, ...]]]:
    """Ids of what is left, each with those that it stands for."""
    return [(one.document_id, one.duplicates) for one in collapse_duplicates(hits)]


def test_a_passage_that_says_nothing_new_is_named_at_the_better_one() -> None:
    """Also when it is only a part of it, or written otherwise."""
    best = hit(1, 1, "Ferries leave at nine. Tickets are sold on board.")
    same = hit(2, 1, "FERRIES leave at nine; tickets are sold on board")
    part = hit(3, 1, "Tickets are sold on board.")
    assert collapsed(best, same, part, part) == [("d1", ("d2", "d3"))]


def test_a_passage_that_differs_in_one_word_stays() -> None:
    """It may be the contradiction that the reader has to see."""
    best = hit(1, 1, "Ferries leave at nine. Tickets are sold on board.")
    other = hit(2, 1, "Ferries leave at ten. Tickets are sold on board.")
    assert collapsed(best, other) == [("d1", ()), ("d2", ())]


def test_documents_that_are_not_linked_are_left_alone() -> None:
    """Two independent documents may say the same, and one document may say it twice."""
    text = "Ferries leave at nine."
    assert collapsed(hit(1, 1, text), hit(2, 2, text)) == [("d1", ()), ("d2", ())]
    assert collapsed(hit(1, 1, text), hit(1, 1, text)) == [("d1", ()), ("d1", ())]


def search(service: Service, text: str, **access: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Document and duplicates of each hit."""
    collection = service.collections.get("default")
    ranking = service.searcher.search(
        Query(text, top_k=5),
        collection_pk=collection.pk,
        generation=collection.live_generation,
        access=access.get("access", Access.everything()),
    )
    return [(one.document_id, one.duplicates) for one in ranking.hits]


def test_search_shows_near_duplicates_once(service: Service) -> None:
    """The copies make room for other documents, and are named."""
    text = f"{NOTICE} Ferries leave at nine."
    ingest_texts(service, {"a.txt": text, "b.txt": text + " "})
    ingest_texts(service, {"c.txt": "Ferries are painted white."})
    hits = search(service, "when do ferries leave")
    assert ("a.txt", ("b.txt",)) in hits
    assert "b.txt" not in [document for document, _ in hits]
    assert "c.txt" in [document for document, _ in hits]


def test_a_copy_that_alone_may_be_seen_is_shown(service: Service) -> None:
    """What stands for it is chosen among what the caller may see, and nothing hidden is named."""
    text = f"{NOTICE} Ferries leave at nine."
    ingest_uploads(service, [upload(service, "board.txt", text.encode(), access=["board"])])
    ingest_texts(service, {"b.txt": text + "  "})
    hits = search(service, "when do ferries leave", access=Access(frozenset()))
    assert {document for document, _ in hits} == {"b.txt"}
    assert all(not duplicates for _, duplicates in hits)
