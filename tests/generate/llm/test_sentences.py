"""A model's text cut into cited sentences while it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generate.llm.sentences import CitedSentence, Segmenter, WithoutThoughts

FRAGMENTS = [
    "The ferry",
    " sails",
    " at 7.30",
    "Dr. Berg",
    ". ",
    ".",
    "! ",
    "[1]",
    " [2, 3]",
    "【4】",
    "海鸥号停航",
    "。",
    "\n",
    "- ",
    "[",
]


def cut(text: str, *, by_marks: bool = False) -> list[tuple[str, tuple[int, ...]]]:
    segmenter = Segmenter(by_marks=by_marks)
    found = [*segmenter.feed(text), *segmenter.end()]
    return [(sentence.text, sentence.numbers) for sentence in found]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It sails at 07:30 [2]. It stops at noon [1].", [("It sails at 07:30.", (2,)), ("It stops at noon.", (1,))]),
        ("It sails. [2] It stops.[1][3] End", [("It sails.", (2,)), ("It stops.", (1, 3)), ("End", ())]),
        (
            "Dr. Berg pays approx. 3.5 m [1]. Mr. Ask knows [2].",
            [("Dr. Berg pays approx. 3.5 m.", (1,)), ("Mr. Ask knows.", (2,))],
        ),
        ("渡轮七点半开航[2]。船长决定。[1]没有", [("渡轮七点半开航。", (2,)), ("船长决定。", (1,)), ("没有", ())]),
        ("- Soup [1]\n- Bread [2]\n\n1. Tea [1, 3]", [("Soup", (1,)), ("Bread", (2,)), ("Tea", (1, 3))]),
        ("It costs 5 [Passage 1] or 6【2】.", [("It costs 5 or 6.", (1, 2))]),
        ('He said "stop!" [1] Then he left [1].', [('He said "stop!"', (1,)), ("Then he left.", (1,))]),
        ("A [1; 2] B [3-4].", [("A B.", (1, 2, 3, 4))]),
        ("No [12345678901234567890] end.", [("No end.", (1000000,))]),
        ("[1]", []),
        ("", []),
    ],
)
def test_sentences_keep_their_markers(text: str, sentences: list[tuple[str, tuple[int, ...]]]) -> None:
    """Before or behind the full stop, in several notations; abbreviations and decimals end nothing."""
    assert cut(text) == sentences


def test_quotes_end_at_their_marks() -> None:
    """Whatever their own punctuation is."""
    text = "MV Fulmar | 34 knots [1] - It closes at nine. Always. [2] rest"
    assert cut(text, by_marks=True) == [
        ("MV Fulmar | 34 knots", (1,)),
        ("- It closes at nine. Always.", (2,)),
        ("rest", ()),
    ]


def test_what_was_cut_off_says_so() -> None:
    """Only the last sentence."""
    segmenter = Segmenter()
    assert segmenter.feed("It sails [1]. The master deci") == []
    assert segmenter.end(cut=True) == [CitedSentence("It sails.", (1,)), CitedSentence("The master deci", (), True)]


def test_a_sentence_comes_before_the_text_ends() -> None:
    """As soon as 24 characters stand behind it."""
    segmenter = Segmenter()
    assert segmenter.feed("It sails [1]. The master decides") == []
    assert segmenter.feed(" at five") == [CitedSentence("It sails.", (1,))]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30), st.data())
def test_the_pieces_in_which_text_comes_do_not_matter(fragments: list[str], data: st.DataObject) -> None:
    """Streamed and whole, the answer is the same."""
    text = "".join(fragments)
    segmenter, streamed, place = Segmenter(), [], 0
    while place < len(text):
        size = data.draw(st.integers(1, 12))
        streamed += segmenter.feed(text[place : place + size])
        place += size
    streamed += segmenter.end()
    assert [(sentence.text, sentence.numbers) for sentence in streamed] == cut(text)


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (("<think>", "a</th", "ink>\n\nYes."), "Yes."),
        (("\n<thi", "nk>a</think>Yes."), "Yes."),
        (("<th", "e> yes"), "<the> yes"),
        (("Yes <think>", "no</think>"), "Yes <think>no</think>"),
        (("<think>for ever",), ""),
        (("<t",), "<t"),
    ],
)
def test_thoughts_are_left_out(pieces: tuple[str, ...], said: str) -> None:
    """At the beginning only, in whatever pieces they come."""
    thoughts = WithoutThoughts()
    assert "".join(map(thoughts.feed, pieces)) + thoughts.end() == said
