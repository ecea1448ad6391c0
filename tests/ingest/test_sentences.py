"""Sentence spans in European and Chinese text, and the layout that ends a sentence without a full stop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sentences import cjk_share, sentence_spans

MARKS = "abc AB.!?。！？，港口船 \n\t-#|1\u00a0\u3000\r\x0c)\"'…；:;"
TEXTS = st.text(st.sampled_from(MARKS), max_size=200) | st.text(max_size=60)


def sentences(text: str) -> list[str]:
    """The sentences as strings."""
    return [text[span.start : span.end] for span in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("One sentence", ["One sentence"]),
        ("The ferry left. It was late!", ["The ferry left.", "It was late!"]),
        ("Dr. Gray paid 3.50 pounds. She left.", ["Dr. Gray paid 3.50 pounds.", "She left."]),
        ("A line that was\nwrapped hard. Next.", ["A line that was\nwrapped hard.", "Next."]),
        ("渡轮已离港。天气晴朗！请问几点？", ["渡轮已离港。", "天气晴朗！", "请问几点？"]),
        ("电池容量为2.5兆瓦时。船长72米。", ["电池容量为2.5兆瓦时。", "船长72米。"]),
        ("# Fares\nAdults pay four pounds.", ["# Fares", "Adults pay four pounds."]),
        ("- first item\n- second item", ["- first item", "- second item"]),
        ("1. first step\n2. second step", ["1. first step", "2. second step"]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        (
            "Winter timetable\nThe last boat leaves at nine in winter.",
            ["Winter timetable", "The last boat leaves at nine in winter."],
        ),
        ("One paragraph\n\nanother paragraph", ["One paragraph", "another paragraph"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    """Full stops, abbreviations, numbers, hard wraps, headings, lists, tables and blank lines."""
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "share"), [("", 0.0), ("123 !", 0.0), ("abcd", 0.0), ("港口", 1.0), ("ab港口", 0.5), ("かな ab", 0.5)]
)
def test_cjk_share(text: str, share: float) -> None:
    """Of the letters only; digits and punctuation do not count."""
    assert cjk_share(text) == share


@settings(deadline=None, max_examples=150)
@given(TEXTS)
def test_everything_but_white_space_lies_in_exactly_one_sentence(text: str) -> None:
    """Spans ascend, do not overlap, begin and end with a visible character, and leave nothing out."""
    spans = sentence_spans(text)
    covered = [place for span in spans for place in range(span.start, span.end)]
    assert covered == sorted(set(covered))
    assert {place for place, character in enumerate(text) if not character.isspace()} <= set(covered)
    assert all(not text[span.start].isspace() and not text[span.end - 1].isspace() for span in spans)
