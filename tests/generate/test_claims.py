"""Sentences taken apart: terms, names, figures, denials, opposites."""

from __future__ import annotations

import pytest

from generate.claims import claim_of, opposites, order_kept


@pytest.mark.parametrize(
    ("text", "names", "figures"),
    [
        ("In 1871 Ada Lovelace paid £1,200 for twelve engines.", ("ada", "lovelac"), (1871, 1200, 12)),
        ("The U.K. has 3.5 million; one of them is 5th.", ("uk",), (3_500_000, 5)),
        ("张三在2018年5月买了30辆车。", (), (2018, 5, 30)),
        ("Nothing here.", (), ()),
    ],
)
def test_names_and_figures(text: str, names: tuple[str, ...], figures: tuple[float, ...]) -> None:
    """Names are capitalised inside a sentence; figures are values, whatever their form."""
    claim = claim_of(text)
    assert (claim.names, claim.figures) == (names, figures)


@pytest.mark.parametrize(
    ("before", "begins"),
    [
        ("", True),
        (" \n“(", True),
        ("It rained. ", True),
        ("It rained: [", True),
        ("'It rained!'\n", True),
        ("It rained; \n\t", True),
        ("It rained, ", False),
        ("It rained.) ", False),
        ("It rained\n", False),
        ("It rained. So ", False),
    ],
)
def test_a_capital_at_the_begin_of_a_sentence_makes_no_name(before: str, begins: bool) -> None:
    """After a full stop or colon and opening quotes, a capital says nothing; letters further on in the word do."""
    assert ("ada" not in claim_of(f"{before}Ada walked").names) == begins
    assert "mcada" in claim_of(f"{before}McAda walked").names


@pytest.mark.parametrize(
    ("text", "denials"),
    [
        ("The ferry does not sail at night.", [{"sail", "night"}]),
        ("It isn't open; nobody came without a ticket.", [{"open"}, {"came", "ticket"}, {"ticket"}]),
        ("Not only ferries sail, and no later than noon.", []),
        ("How often are failed requests repeated?", []),
        ("The ferry failed to sail.", [{"sail"}]),
    ],
)
def test_a_denial_reaches_the_next_two_content_words(text: str, denials: list[set[str]]) -> None:
    """`not only`, `no later than` and `failed requests` deny nothing."""
    assert [set(terms) for terms in claim_of(text).denials] == denials


def test_opposites_count_once_a_word_and_only_where_neither_side_says_both() -> None:
    """`rises` against `falls`, not where the quote speaks of both."""
    assert opposites(claim_of("The level increased in the north."), claim_of("The level decreased in the south.")) == 2
    assert opposites(claim_of("It increased."), claim_of("It increased, then decreased.")) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("When did they defend the city?", "They attacked the city in May."),
        ("Prices rose in the richer towns.", "Prices declined in the poorer towns."),
        ("Her father kept the light.", "Her mother kept the light."),
    ],
)
def test_opposites_are_those_of_everyday_english(one: str, other: str) -> None:
    """In any inflection, in both directions."""
    assert opposites(claim_of(one), claim_of(other)) == opposites(claim_of(other), claim_of(one)) > 0


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("Registered property is sold.", "Unregistered property is sold.", 1),
        ("A dependent board.", "An independent board.", 1),
        ("The income came in.", "They come by the side.", 0),
        ("They improve it.", "They prove it.", 0),
    ],
)
def test_a_denying_prefix_makes_an_opposite(one: str, other: str, count: int) -> None:
    """In both directions, not where the prefix makes another word."""
    assert opposites(claim_of(one), claim_of(other)) == opposites(claim_of(other), claim_of(one)) == count


def test_order_is_the_longest_common_subsequence() -> None:
    """a b c against c a b: a b are in order."""
    assert order_kept(["a", "b", "c"], ["c", "a", "b"]) == pytest.approx(2 / 3)
    assert order_kept(["x"], ["a"]) == 1.0
