"""Quotes: whole sentences, and clauses of very long ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generate.clauses import can_answer, count_words, cut_around, sentences_around
from ingest.sentences import Span, sentence_spans

TEXT = "The pier is old. " + ", ".join(f"item {n} costs {n} pounds" for n in range(30)) + ". It closes at nine."


def test_a_short_sentence_is_quoted_whole() -> None:
    """And two, where the answer crosses their border."""
    sentences = sentence_spans(TEXT)
    assert sentences_around(TEXT, Span(4, 8), sentences) == sentences[0]
    assert sentences_around(TEXT, Span(12, 20), sentences) == Span(0, sentences[1].end)
    assert cut_around(TEXT, sentences[0], Span(4, 8)) == sentences[0]


def test_a_heading_is_not_part_of_the_sentence_below_it() -> None:
    """An answer that reaches over both belongs to the paragraph that holds most of it."""
    text = "## Rail and air\n\nFirst class rail may be booked."
    assert sentences_around(text, Span(3, 40), sentence_spans(text)) == Span(17, len(text))


def test_headings_rules_and_questions_are_not_quoted() -> None:
    """All sentences of a heading's line, wherever they begin; a question, whatever marks follow it."""
    text = (
        "### My cart needs a trailer. May I bring one?\nTrailers may be no longer than 3 m.\n\n"
        "| Day | Fee |\n|---|:-:|\n| Monday | 4 |\n\n"
        "“Who says so?” The harbour master (who else?) does. “何时关门？”\n\nIt closes at 9."
    )
    kept = [text[s.start : s.end] for s in sentence_spans(text) if can_answer(text, s)]
    assert kept == [
        "Trailers may be no longer than 3 m.",
        "| Day | Fee |",
        "| Monday | 4 |",
        "The harbour master (who else?) does.",
        "It closes at 9.",
    ]


def test_the_metadata_of_a_markdown_file_is_not_quoted() -> None:
    """A rule between paragraphs, or what is no metadata, is nothing of the kind."""
    text = "---\ntitle: Ferry\ntags:\n  - pier\ndescription: When it sails\n---\n\nIt sails at 9.\n"
    assert [text[s.start : s.end] for s in sentence_spans(text) if can_answer(text, s)] == ["It sails at 9."]
    ruled = "---\nIt sails at 9.\n---\nIt returns at 5.\n"
    assert all(can_answer(ruled, s) for s in sentence_spans(ruled) if "sails" in ruled[s.start : s.end])


def test_a_row_of_blanks_takes_no_longer_than_its_length() -> None:
    """With time that grows with the square, a cell of a hundred thousand blanks would take a minute."""
    row = "|" + " " * 100_000
    assert can_answer(row + "fee |", Span(0, len(row) + 5))
    assert not can_answer(row + "|", Span(0, len(row) + 1))


def test_a_long_sentence_is_cut_at_commas_around_the_answer() -> None:
    """At most 40 words, whole clauses, the answer inside."""
    at = TEXT.index("17 pounds")
    cut = cut_around(TEXT, sentence_spans(TEXT)[1], Span(at, at + 9))
    quote = TEXT[cut.start : cut.end]
    assert "item 17 costs 17 pounds" in quote
    assert quote.startswith("item")
    assert count_words(quote) <= 40


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 30), st.integers(3, 40))
def test_a_cut_keeps_the_answer_and_stays_in_the_quote(start: int, length: int, words_max: int) -> None:
    """Whatever is asked for."""
    keep = Span(start, min(start + length, len(TEXT)))
    quote = sentences_around(TEXT, keep, sentence_spans(TEXT))
    if not (quote.start <= keep.start and keep.end <= quote.end):
        return
    cut = cut_around(TEXT, quote, keep, words_max=words_max)
    assert quote.start <= cut.start < cut.end <= quote.end
    held = TEXT[keep.start : keep.end].strip()
    assert held in TEXT[cut.start : cut.end]


@pytest.mark.parametrize(("text", "words"), [("Ärger, at 3.5 km", 5), ("风速三十", 4), ("", 0)])
def test_words_and_characters_are_counted(text: str, words: int) -> None:
    """Words of spaced scripts, characters of CJK."""
    assert count_words(text) == words
