"""Measures of answers, by hand-worked cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import contains_answer, exact_match, is_correct_answer, recall_at, reciprocal_rank, token_f1
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


def test_recall_counts_groups_and_is_unscored_without_gold() -> None:
    """One of two groups is hit within the first two."""
    groups = [frozenset({"a", "b"}), frozenset({"c"})]
    assert recall_at(["x", "b", "c"], groups, 2) == 0.5
    assert recall_at(["x", "b", "c"], groups, 3) == 1
    assert recall_at([], groups, 3) == 0
    assert recall_at(["a"], [], 3) is None


def test_reciprocal_rank_is_that_of_the_first_relevant() -> None:
    """Second place is 1/2; beyond k is 0."""
    assert reciprocal_rank(["x", "a", "b"], frozenset({"a", "b"}), 10) == 0.5
    assert reciprocal_rank(["x", "y", "a"], frozenset({"a"}), 2) == 0


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
def test_measures_stay_between_0_and_1(answer: str, golds: list[str]) -> None:
    """Whatever the texts."""
    assert 0 <= token_f1(answer, golds) <= 1
    assert exact_match(answer, golds) <= token_f1(answer, golds) or not answer_tokens(answer)
