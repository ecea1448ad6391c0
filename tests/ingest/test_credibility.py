"""Credibility: a weighted mean of what is known, each component by its own formula."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.collections import CollectionSettings
from ingest.credibility import Credibility, corroboration, freshness, observe, source_prior
from tests.ingest.support import TextParser, delete, ingest, search

SHARES = st.none() | st.floats(0, 1)


@pytest.mark.parametrize(
    ("credibility", "score"),
    [
        (Credibility(), 0.5),
        (Credibility(source=0.8), 0.8),
        (Credibility(source=0.8, freshness=0.5), (0.4 * 0.8 + 0.2 * 0.5) / 0.6),
        (Credibility(source=0.8, corroboration=0.5), (0.4 * 0.8 + 0.15 * 0.5) / 0.55),
        (Credibility(source=0.8, feedback=0.5), (0.4 * 0.8 + 0.15 * 0.5) / 0.55),
        (Credibility(source=0.8, extraction=0.3), (0.4 * 0.8 + 0.1 * 0.3) / 0.5),
        (Credibility(1, 0.5, 0.5, 0.5, 0.5), 0.4 + 0.6 * 0.5),
    ],
)
def test_score_is_the_weighted_mean_of_the_known(credibility: Credibility, score: float) -> None:
    """Each component alone moves the score by its weight among those known."""
    assert credibility.score == pytest.approx(score)


@given(st.builds(Credibility, st.floats(0, 1), SHARES, SHARES, SHARES, SHARES))
def test_score_stays_between_its_components(credibility: Credibility) -> None:
    """A mean is never beyond the best or below the worst."""
    known = [
        value
        for value in (
            credibility.source,
            credibility.freshness,
            credibility.corroboration,
            credibility.feedback,
            credibility.extraction,
        )
        if value is not None
    ]
    assert min(known) - 1e-9 <= credibility.score <= max(known) + 1e-9


@pytest.mark.parametrize(
    ("document_id", "source", "prior"),
    [
        ("board/minutes.md", None, 0.9),
        ("board/drafts/minutes.md", None, 0.3),
        ("forum/thread.html", None, 0.5),
        ("forum/thread.html", "intranet", 0.7),
        ("board/minutes.md", "intranet", 0.7),
    ],
)
def test_the_longest_matching_pattern_decides(document_id: str, source: str | None, prior: float) -> None:
    """By the document's id or its source; 0.5 where nothing matches."""
    priors = {"board/*": 0.9, "board/drafts/*": 0.3, "intranet": 0.7}
    assert source_prior(priors, document_id, {"source": source}) == prior


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (None, None),
        (date(2026, 1, 1), 1.0),
        (date(2025, 1, 1), 0.5),
        (date(2024, 1, 2), 0.25),
        (date(2030, 1, 1), 1.0),
    ],
)
def test_freshness_halves_with_every_half_life(day: date | None, expected: float | None) -> None:
    """Half-life 365 days, today 2026-01-01; a date in the future is as fresh as today."""
    assert freshness(day, date(2026, 1, 1), 365) == (None if expected is None else pytest.approx(expected, abs=1e-3))


def test_feedback_is_a_posterior_mean(service: Service) -> None:
    """Beta(1, 1): 2/3 after one good judgement, 2/4 after a bad one more; the score follows."""
    ingest(service, {"a.txt": b"The last ferry leaves at nine."})
    collection = service.collections.get("default")
    pk = service.documents.get(collection, "a.txt").pk
    for correct, feedback in ((True, 2 / 3), (False, 1 / 2)):
        service.catalogue.write(lambda connection, correct=correct: observe(connection, pk, correct=correct))
        stored = service.documents.get(collection, "a.txt").credibility
        assert stored.feedback == pytest.approx(feedback)
        with service.catalogue.read() as connection:
            score = connection.execute(select(schema.documents.c.credibility)).scalar_one()
        assert score == pytest.approx(stored.score)


def test_feedback_survives_a_new_version(service: Service) -> None:
    """What was learned of the document counts for its next version too."""
    collection = service.collections.get("default")
    ingest(service, {"a.txt": b"The last ferry leaves at nine."})
    pk = service.documents.get(collection, "a.txt").pk
    service.catalogue.write(lambda connection: observe(connection, pk, correct=True))
    ingest(service, {"a.txt": b"The last ferry leaves at ten."})
    assert service.documents.get(collection, "a.txt").credibility.feedback == pytest.approx(2 / 3)


def test_feedback_on_a_document_that_is_gone_is_ignored(service: Service) -> None:
    """It may have been purged between the answer and its judgement."""
    service.catalogue.write(lambda connection: observe(connection, 4711, correct=True))


@pytest.mark.parametrize(
    ("priors", "authority", "prior"),
    [({}, "board", 0.8), ({}, "Informal", 0.3), ({}, "someone", 0.5), ({}, None, 0.5), ({"mail/*": 0.1}, "board", 0.1)],
)
def test_authority_is_a_prior_where_no_pattern_matches(
    priors: dict[str, float], authority: str | None, prior: float
) -> None:
    """Patterns that the collection names come first."""
    assert source_prior(priors, "mail/a.eml", {"authority": authority}) == prior


@pytest.mark.parametrize(
    ("supporters", "expected"),
    [([], None), ([0, 0], 0.5), ([1, 1, 1], 0.75), ([2, 0], 0.75), ([3], 0.9375), ([50, 50], 0.9375)],
)
def test_corroboration_grows_with_independent_support(supporters: list[int], expected: float | None) -> None:
    """A half without any, which is no reason for doubt; never certain, however many say it."""
    assert corroboration(supporters) == expected


FIRST, SECOND = "Ferries to Amberholm leave at nine.", "Ferries to Grimholm leave at nine."


def order(service: Service) -> list[str]:
    """Documents in the order of a search to which both texts fit equally."""
    service.credibility.settle()
    return [
        hit.document_id for hit in search(service, "ferries leave at nine") if hit.document_id in ("a.txt", "b.txt")
    ]


def component(service: Service, document_id: str, name: str) -> float | None:
    """One visible component of a document's credibility."""
    record = service.documents.get(service.collections.get("default"), document_id)
    value: float | None = getattr(record.credibility, name)
    return value


def two_equal_documents(service: Service, **metadata: str) -> None:
    """Two documents that differ in a name that nobody asks for; the first one comes first."""
    ingest(service, {"a.txt": FIRST.encode(), "b.txt": SECOND.encode()}, metadata=metadata)
    assert order(service) == ["a.txt", "b.txt"]


def test_a_source_prior_alone_changes_the_ranking(service: Service) -> None:
    """Set for documents that are there, and taken back."""
    two_equal_documents(service)
    service.put_collection("default", CollectionSettings(source_priors={"b.*": 0.9}))
    assert order(service) == ["b.txt", "a.txt"]
    assert component(service, "b.txt", "source") == 0.9
    service.put_collection("default", CollectionSettings(source_priors={}))
    assert order(service) == ["a.txt", "b.txt"]


def test_freshness_alone_changes_the_ranking(service: Service) -> None:
    """A later date of the second document brings it to the front, though its bytes are unchanged."""
    two_equal_documents(service, date="2020-01-01")
    old = component(service, "b.txt", "freshness")
    ingest(service, {"b.txt": SECOND.encode()}, metadata={"date": date.today().isoformat()})
    assert order(service) == ["b.txt", "a.txt"]
    assert component(service, "b.txt", "freshness") == 1.0
    assert old is not None
    assert old < 0.2


def test_freshness_falls_with_the_days(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of documents that nobody touches."""
    two_equal_documents(service, date="2025-01-01")
    before = component(service, "a.txt", "freshness")
    monkeypatch.setattr(service.credibility, "_day", date(2000, 1, 1))
    monkeypatch.setattr(service.credibility, "_half_life_days", 10.0)
    service.credibility.settle()
    after = component(service, "a.txt", "freshness")
    assert before is not None
    assert after is not None
    assert after < before


def test_extraction_quality_alone_changes_the_ranking(service: Service, parser: TextParser) -> None:
    """A scan that was hard to read stands behind a native text."""
    parser.quality = {"a.txt": 0.3}
    ingest(service, {"a.txt": FIRST.encode(), "b.txt": SECOND.encode()})
    assert order(service) == ["b.txt", "a.txt"]
    assert (component(service, "a.txt", "extraction"), component(service, "b.txt", "extraction")) == (0.3, 1.0)


def test_corroboration_alone_changes_the_ranking(service: Service) -> None:
    """An independent document that says the same as the second brings it to the front, until it is deleted."""
    two_equal_documents(service)
    ingest(service, {"c.txt": f"Minutes of the harbour board of Monday, item seven. {SECOND}".encode()})
    assert order(service) == ["b.txt", "a.txt"]
    assert (component(service, "a.txt", "corroboration"), component(service, "b.txt", "corroboration")) == (0.5, 0.75)
    delete(service, "c.txt")
    assert order(service) == ["a.txt", "b.txt"]


def test_feedback_alone_changes_the_ranking(service: Service) -> None:
    """Answers that cited the first one were wrong."""
    two_equal_documents(service)
    pk = service.documents.get(service.collections.get("default"), "a.txt").pk
    service.catalogue.write(lambda connection: observe(connection, pk, correct=False))
    assert order(service) == ["b.txt", "a.txt"]
    assert component(service, "a.txt", "feedback") == pytest.approx(1 / 3)
