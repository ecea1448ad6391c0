"""Measures of answers, by hand-worked cases."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import (
    answer_share,
    contains_answer,
    exact_match,
    is_correct_answer,
    nugget_recall,
    token_f1,
)
from eval.normalise import answer_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The 12,500 seats!", ["12500", "seats"]),
        ("An  Apple—a day", ["apple", "day"]),
        ("２０２５年１月", ["2025", "年", "1", "月"]),
        ("船長30.5米", ["船", "長", "30", "5", "米"]),
        ("...", []),
    ],
)
def test_answers_are_compared_by_words_and_chinese_by_characters(text: str, tokens: list[str]) -> None:
    """NFKC, case, punctuation, articles, thousands separators."""
    assert answer_tokens(text) == tokens


@pytest.mark.parametrize(
    ("answer", "golds", "contained"),
    [
        ("MV Fulmar stops at 34 knots.", ["34 knots"], True),
        ("It is a category.", ["cat"], False),
        ("不超过45℃时报警", ["45"], True),
        ("It costs 12 500 pounds.", ["12,500"], True),
        ("anything", [], False),
        ("anything", ["!"], False),
    ],
)
def test_a_gold_answer_counts_only_at_token_boundaries(answer: str, golds: list[str], contained: bool) -> None:
    """`cat` is not in `category`."""
    assert contains_answer(answer, golds) is contained


def test_a_long_answer_is_not_correct_however_much_it_contains() -> None:
    """At most max(40, 4 x gold) tokens."""
    assert is_correct_answer("34 knots " + "x " * 38, ["34 knots"])
    assert not is_correct_answer("34 knots " + "x " * 39, ["34 knots"])


def test_f1_is_that_of_shared_tokens() -> None:
    """Answer `34 knots mean wind` and gold `34 knots`: P = 2/4, R = 1, F1 = 2/3."""
    assert token_f1("34 knots mean wind", ["34 knots"]) == pytest.approx(2 / 3)
    assert token_f1("", [""]) == 1
    assert token_f1("something", [""]) == 0
    assert token_f1("", []) == 1
    assert exact_match("The 34 knots.", ["34 knots"]) == 1


def test_wanted_golds_and_vital_nuggets_are_shares() -> None:
    """One of two golds; support 1 and 0.5 of the two vital nuggets of three."""
    assert answer_share("34 knots at noon", ["34 knots", "midnight"]) == 0.5
    assert answer_share("anything", []) is None
    assert nugget_recall([1, 0.5, 0], [True, True, False]) == 0.75
    assert nugget_recall([1], [False]) is None


def _squad(text: str) -> list[str]:
    """The official normalisation, for English without numbers: lower case, no ASCII punctuation, no articles."""
    kept = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


_SAID = st.lists(st.sampled_from(["the", "a", "Cat", "sat", "mat,", "big.", "hat!", "An"]), max_size=8)
_WANTED = st.lists(st.sampled_from(["the", "cat", "sat", "mat", "big"]), min_size=1, max_size=4)


@given(_SAID.map(" ".join), _WANTED.map(" ".join))
def test_exact_match_and_f1_are_those_of_squad(answer: str, gold: str) -> None:
    """An independent implementation of the published arithmetic gives the same."""
    said, wanted = _squad(answer), _squad(gold)
    shared = sum((Counter(said) & Counter(wanted)).values())
    expected = 2 * shared / (len(said) + len(wanted)) if said and wanted else float(said == wanted)
    assert token_f1(answer, [gold]) == pytest.approx(expected)
    assert exact_match(answer, [gold]) == (said == wanted)


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
def test_measures_stay_between_0_and_1(answer: str, golds: list[str]) -> None:
    """Whatever the texts."""
    assert 0 <= token_f1(answer, golds) <= 1
    assert exact_match(answer, golds) <= token_f1(answer, golds) or not answer_tokens(answer)
