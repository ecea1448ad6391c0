"""What is remembered of passages."""

from __future__ import annotations

from dataclasses import replace

from generate.passages import passage_text, sentence_terms
from ingest.sentences import Span
from tests.hits import hit_of


def test_a_passage_is_its_title_its_heading_and_its_sentences() -> None:
    """Terms and claim are of all three; places of sentences are in the text; equal words are taken apart once."""
    one = replace(hit_of("pier", "It opens at 9. No dogs."), title="Pier guide", heading="Hours")
    known = passage_text(one)
    assert known.sentences == (Span(0, 14), Span(15, 23))
    assert {"pier", "guid", "hour", "open", "dog"} <= known.terms
    assert known.claim.figures == (9.0,)
    assert passage_text(replace(one, rank=7, score=0.1)) is known
    assert passage_text(replace(one, title="Tide guide")).terms != known.terms


def test_terms_of_a_sentence_keep_order_and_repeats() -> None:
    """Neighbouring terms can be told from them."""
    assert sentence_terms("The pier, the pier!") == ("the", "pier", "the", "pier")
