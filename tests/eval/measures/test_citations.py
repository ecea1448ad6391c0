"""Measures of evidence and citations, by hand-worked cases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eval.measures import (
    CitedSentence,
    citation_precision,
    citation_recall,
    evidence_rate_macro,
    evidence_rate_micro,
    evidence_rate_strict,
    quote_stands,
)


def entails(passages: Sequence[str], sentence: str) -> bool:
    """A sentence is entailed when the passages together hold all of its letters."""
    return set(sentence) <= set("".join(passages))


def test_evidence_rates_by_hand() -> None:
    """Two of three claims; (1/2 + 1) / 2; one of two answers whole. An answer without claims is one unsupported."""
    answers = [[True, False], [True]]
    assert evidence_rate_micro(answers) == pytest.approx(2 / 3)
    assert evidence_rate_macro(answers) == 0.75
    assert evidence_rate_strict(answers) == 0.5
    assert [rate([[]]) for rate in (evidence_rate_micro, evidence_rate_macro, evidence_rate_strict)] == [0, 0, 0]
    assert [rate([]) for rate in (evidence_rate_micro, evidence_rate_macro, evidence_rate_strict)] == [None] * 3


@pytest.mark.parametrize(
    ("quote", "passage", "stands"),
    [
        ("34  knots", "At 34\nKnots she stops.", True),
        ("３４ knots", "34 knots", True),
        ("35 knots", "34 knots", False),
        ("", "anything", False),
    ],
)
def test_a_quote_stands_only_in_the_cited_passage(quote: str, passage: str, stands: bool) -> None:
    """White space, case and width aside; nothing quoted is nothing proved."""
    assert quote_stands(quote, passage) is stands


def test_citation_recall_by_hand() -> None:
    """Entailed together; cites nothing; points nowhere: one of three."""
    sentences = [CitedSentence("ab", ("a", "b")), CitedSentence("ab", ()), CitedSentence("a", ("a",), dangling=1)]
    assert citation_recall(sentences, entails) == pytest.approx(1 / 3)
    assert citation_recall([], entails) is None


@pytest.mark.parametrize(
    ("sentence", "precision"),
    [
        (CitedSentence("ab", ("a", "b")), 1.0),
        (CitedSentence("ab", ("ab", "x")), 0.5),
        (CitedSentence("ab", ("a",)), 0.0),
        (CitedSentence("ab", ("ab",), dangling=1), 0.0),
        (CitedSentence("ab", ()), 0.0),
    ],
)
def test_citation_precision_by_hand(sentence: CitedSentence, precision: float) -> None:
    """Both needed; one idle; not entailed; dangling ones are bad; none cited."""
    assert citation_precision([sentence], entails) == precision
