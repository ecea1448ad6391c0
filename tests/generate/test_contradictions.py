"""Which sentences cannot both be right: pairs from many fields, in English and Chinese, and pairs that only look so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generate.assessment import Quote
from generate.contradictions import Statement, agree, asked_of, contradict, statement_of
from tests.generate.test_assessment import hit


def statement(question: str, text: str, number: int, *, title: str | None = None, before: str = "") -> Statement:
    """A sentence of a document of its own, behind another sentence."""
    whole = f"{before} {text}" if before else text
    passage = replace(hit(whole, rank=number, version_pk=number), document_pk=number, title=title or f"Work {number}")
    start = passage.char_start + len(whole) - len(text)
    return statement_of(asked_of(question), Quote(passage, start, start + len(text)))


def contradicts(question: str, one: str, other: str, *, title: str | None = None) -> bool:
    sides = (statement(question, one, 1, title=title), statement(question, other, 2, title=title))
    return contradict(asked_of(question), *sides)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        (
            "How many books may a reader borrow?",
            "A reader may borrow six books at once, for four weeks.",
            "Readers may borrow ten books, and the desk keeps a list.",
        ),
        (
            "What is the fine for a late book?",
            "The fine for a late book is £2 a week.",
            "For each late book a fine of £3 is due.",
        ),
        (
            "How long is the guarantee on the boiler?",
            "The guarantee on the boiler runs for 24 months.",
            "Guarantee: the boiler is covered for 36 months, the pump for less.",
        ),
        (
            "When does registration begin?",
            "Registration begins on 4 May 2026.",
            "Registration will start on 11 May 2026, if the hall is free.",
        ),
        ("When does the pool close?", "The pool closes at 9 pm.", "On all days the pool closes at 8 pm."),
        ("What time does the pharmacy open?", "The pharmacy opens at 08:30.", "The pharmacy opens at 09:00."),
        (
            "When was the bridge opened?",
            "The bridge was opened in 1931.",
            "The bridge was opened in 1934.",
        ),
        (
            "May visitors use the staff car park?",
            "Visitors may use the staff car park.",
            "Visitors may not use the staff car park at any time.",
        ),
        (
            "Can the update be installed while the server runs?",
            "The update can be installed while the server runs.",
            "The update can be installed only after the server was stopped.",
        ),
        (
            "May business class flights be booked?",
            "Business class flights may be booked for journeys over six hours.",
            "All flights are economy class, whatever the distance.",
        ),
        ("实验室的最高温度是多少？", "实验室的最高温度为25℃，超过时报警。", "实验室最高温度为28℃。"),
        ("年假有多少天？", "员工年假为10天，须提前申请。", "员工年假为15天。"),
        ("图书馆几点关门？什么时候？", "图书馆晚上9点关门。", "图书馆晚上8点关门。"),
        ("访客是否可以拍照？", "访客可以拍照。", "访客不得拍照。"),
        (
            "How many parcels may be carried on tram Anna Elm?",
            "No more than two parcels may be carried on tram Anna Elm on any day.",
            "From now on four parcels may be booked on Anna Elm.",
        ),
    ],
)
def test_these_cannot_both_be_right(question: str, one: str, other: str) -> None:
    """Whichever comes first."""
    assert contradicts(question, one, other)
    assert contradicts(question, other, one)


@pytest.mark.parametrize(
    ("question", "one", "other"),
    [
        ("How many beds has Ward 4?", "Ward 4 has 22 beds.", "Ward 7 has 30 beds."),
        (
            "How many students enrolled in 2022?",
            "In 2022 we enrolled 410 students.",
            "In 2023 we enrolled 455.",
        ),
        ("How many red tickets are there?", "There are 40 red tickets.", "There are 65 tickets of all colours."),
        ("How tall is the Elm Tower?", "The Elm Tower is 80 metres tall.", "The Oak Tower is 95 metres tall."),
        (
            "How fast is the lift?",
            "The lift makes 2 metres a second.",
            "It makes 2 metres a second, full or not.",
        ),
        ("How many people came?", "Some 40,000 people came to the fair.", "Of the people who came 12 were ill."),
        ("When was the hall built?", "The hall was built in 1890.", "The hall was sold in 1923."),
        ("When is the hall open?", "The hall is open on 3 May from 10:00.", "The hall is open on 4 May from 12:00."),
        ("Who leads the ward?", "Ann leads the 22 beds of the ward.", "Bea leads the 30 beds of the ward."),
        ("May dogs swim in the lake?", "Dogs may swim in the lake.", "Dogs are welcome in the café."),
        ("甲仓库有多少个货位？", "甲仓库有120个货位。", "乙码头去年处理了300艘船。"),
        (
            "What is the average flow of the Elm brook?",
            "The Elm brook has an average width of 4 m where it leaves the wood.",
            "The Elm brook has an average of nearly 6 m3/s where it leaves the wood.",
        ),
        (
            "What does a plot cost?",
            "A plot costs 55 euros a year.",
            "The shed costs 340 euros a year to insure.",
        ),
        (
            "When was the College Library founded?",
            "The College Library was founded in 1816.",
            "In 1839 the college founded a library of 400 books for Oakham.",
        ),
    ],
)
def test_these_speak_of_different_things(question: str, one: str, other: str) -> None:
    """Another number, name, year, kind, size, unit or event; or the same in other words."""
    if question == "When is the hall open?":
        assert not contradicts(question, one, other, title="Programme")
    else:
        assert not contradicts(question, one, other)
        assert not contradicts(question, other, one)


def test_a_pronoun_stands_for_what_was_said_before() -> None:
    """So that a sentence which does not name its subject can contradict one that does."""
    question = "When does the summer course end?"
    named = statement(question, "The summer course ends on 30 August 2026.", 1)
    pointing = statement(question, "It ends on 6 September 2026.", 2, before="Many ask about the summer course.")
    alone = statement(question, "It ends on 6 September 2026.", 3)
    assert contradict(asked_of(question), named, pointing)
    assert not contradict(asked_of(question), named, alone)


def test_a_figure_that_is_the_same_is_agreement() -> None:
    """A document that tells it somewhere is no rival, whatever else it tells."""
    question = "How much is the deposit for a key?"
    one = statement(question, "The deposit for a key is £20.", 1)
    same = statement(question, "A deposit of £20 is taken for each key.", 2)
    assert agree(asked_of(question), one, same)
    assert not contradict(asked_of(question), one, same)
