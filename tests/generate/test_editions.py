"""Editions of one work are told by their titles; a question may choose between them."""

from __future__ import annotations

import pytest

from generate.editions import are_editions, better_edition, names_edition


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Laboratory safety rules 2022", "Laboratory safety rules 2024"),
        ("Parking rules, draft for comment", "Parking rules"),
        ("Parking rules (revised)", "Parking rules, 3rd edition"),
        ("price-list-2023", "price-list-2024-01"),
        ("House_rules_v2", "House rules"),
        ("House rules (old)", "House rules - new"),
        ("Tariff of 1 May 2023", "Tariff of 15 June 2024"),
        ("采购管理办法（2021年）", "采购管理办法（2024年修订版）"),
        ("值班制度（征求意见稿）", "值班制度"),
    ],
)
def test_a_date_a_number_or_a_word_makes_an_edition(one: str, other: str) -> None:
    """Whichever of the two has it."""
    assert are_editions(one, other)
    assert are_editions(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Parking rules", "Library rules"),
        ("Handbook, part 1", "Handbook, part 2"),
        ("Line 4 timetable 2024", "Line 7 timetable 2024"),
        ("Timetable summer 2024", "Timetable winter 2024"),
        ("Parking rules", "Parking rules"),
        ("Old Mill parking rules", "Mill parking rules"),
        ("New York office", "York office"),
        ("Board minutes 14 May 2024", "Board minutes 24 June 2024"),
        ("Annual report 2023", "Annual report 2024"),
        ("值班会议纪要（2023年）", "值班会议纪要（2024年）"),
        ("2023", "2024"),
        (None, "Parking rules"),
        ("采购管理办法", "财务管理办法"),
    ],
)
def test_other_works_parts_and_namesakes_are_no_editions(one: str | None, other: str | None) -> None:
    """Numbers that are no dates count parts; works of one title are parts of one, as far as anybody knows."""
    assert not are_editions(one, other)


@pytest.mark.parametrize(
    ("question", "chosen"),
    [
        ("What does version 2 say about permits?", True),
        ("What did the old rules say about permits?", True),
        ("征求意见稿规定几天？", True),
        ("What does a permit cost?", False),
        ("What does the draft say about permits?", True),
        ("旧的规定是几天？", True),
        ("What is the current price of a permit?", False),
        ("How old must a driver be?", False),
        ("What is planned for the old mill in 2026?", False),
        ("permit price", False),
    ],
)
def test_a_question_may_choose_an_edition(question: str, chosen: bool) -> None:
    """By its number, or as the one that is no longer in force; years are compared with those of the titles."""
    assert names_edition(question) == chosen


@pytest.mark.parametrize(
    ("better", "worse", "reason"),
    [
        ("Parking rules 2024", "Parking rules 2022", "date"),
        ("Tariff of 15 June 2024", "Tariff of 1 May 2024", "date"),
        ("Parking rules 2024", "Parking rules 2026, draft", "authority"),
        ("Parking rules", "Parking rules (superseded)", "authority"),
        ("House rules v10", "House rules v9", "date"),
        ("House rules, version 2.1", "House rules, version 2", "date"),
        ("值班制度", "值班制度（征求意见稿）", "authority"),
        ("值班制度2024年", "值班制度2021年", "date"),
    ],
)
def test_the_titles_tell_which_edition_counts(better: str, worse: str, reason: str) -> None:
    """What is in force before what is not, then what came last."""
    assert better_edition(better, worse) == ("one", reason)
    assert better_edition(worse, better) == ("other", reason)


@pytest.mark.parametrize("other", ["Parking rules", "Parking rules 2024", "Parking rules, 3rd edition"])
def test_titles_may_not_tell(other: str) -> None:
    """One has no date, or the same one."""
    assert better_edition("Parking rules 2024", other) is None
