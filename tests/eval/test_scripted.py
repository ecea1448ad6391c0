"""Good and bad sentences about passages."""

from __future__ import annotations

from eval.scripted import BAD_KINDS, GOOD_KINDS, Passage, Script

PASSAGES = [
    Passage(
        f"The {name} bridge was opened in {year} by the engineer Ada {name}. It is the longest bridge near {name}, and "
        f"was also used by {count} trains.",
        name,
        article,
        ((f"Who opened the {name} bridge?", f"Ada {name}"), (f"When was the {name} bridge opened?", str(year))),
    )
    for name, article, year, count in (
        ("Tolm", "bridges", 1871, 12),
        ("Ewen", "bridges", 1902, 40),
        ("Skarva", "ferries", 1933, 7),
    )
]


def test_every_kind_can_be_made_and_says_whether_it_is_good() -> None:
    """Bad sentences never stand in their passage; quoted ones do."""
    script = Script(PASSAGES, seed=3)
    for kind in (*GOOD_KINDS, *BAD_KINDS):
        for _ in range(5):
            made = script.sentence(kind)
            assert made.good is (kind in GOOD_KINDS)
            assert (made.text in made.passage.text) is (kind == "verbatim")


def test_equal_seeds_make_equal_sentences() -> None:
    """So that a figure can be reproduced."""
    one, other = Script(PASSAGES, seed=3), Script(PASSAGES, seed=3)
    assert [one.sentence(kind).text for kind in BAD_KINDS] == [other.sentence(kind).text for kind in BAD_KINDS]
