"""Credibility: a weighted mean of what is known, each component by its own formula."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from api.bootstrap import Service
from ingest.catalogue import schema
from ingest.credibility import Credibility, freshness, observe, source_prior
from tests.ingest.support import ingest

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
    assert source_prior(priors, document_id, source) == prior


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
    assert source_prior(priors, "mail/a.eml", None, authority) == prior
