"""Unknown words of a question give way to known ones a slip away, and nothing else does."""

from __future__ import annotations

import pytest

from retrieve.spelling import CORRECTED_MAX, corrected

VOCABULARY = {"ferri": 9, "harbour": 5, "aurora": 3, "sail": 7, "sailor": 2, "tailor": 4, "marina": 1, "morina": 1}


def documents_with(term: str) -> int:
    return VOCABULARY.get(term, 0)


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("harbor", "harbour"),
        ("harbouur", "harbour"),
        ("hrabour", "harbour"),
        ("hartour", "harbour"),
        ("arbour", "harbour"),
        ("auroraa", "aurora"),
    ],
)
def test_one_slip_is_mended_wherever_it_is(slip: str, meant: str) -> None:
    """Left out, put in, swapped, exchanged; at the start and at the end."""
    assert corrected([slip], documents_with) == [meant]


def test_the_more_frequent_word_wins_then_the_alphabet() -> None:
    """`bailor` is one letter from two words; so is `mxrina`, of equal count."""
    assert corrected(["bailor", "mxrina"], documents_with) == ["tailor", "marina"]


def test_known_and_short_and_strange_words_stay() -> None:
    """What a document holds is right; four letters, figures, identifiers and other scripts are not words to mend."""
    terms = ["sailor", "sial", "iso9001", "harb0ur", "哈尔堡", "größer", "x" * 30]
    assert corrected(terms, documents_with) == terms


def test_two_slips_and_repeats() -> None:
    """Two are too far; a word given twice is replaced twice, in its places."""
    assert corrected(["harrbuor", "sail", "harbor", "harbor"], documents_with) == [
        "harrbuor",
        "sail",
        "harbour",
        "harbour",
    ]


def test_a_text_of_nonsense_costs_no_more_than_a_few_words() -> None:
    """Only the first eight unknown words are looked up for."""
    asked: list[str] = []

    def count(term: str) -> int:
        asked.append(term)
        return 0

    terms = [letter * 9 for letter in "abcdefghijklmnopqrst"]
    assert corrected(terms, count) == terms
    assert len(asked) < CORRECTED_MAX * 600
