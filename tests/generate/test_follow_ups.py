"""Follow-up questions made to stand alone by rule."""

from __future__ import annotations

import asyncio

import pytest

from generate.follow_ups import FollowUpRewriter, carry_over

FERRY = "When does the ferry Aurora sail from Norrhamn?"
RATE = "What is the mileage rate for a private car?"
ALARM = "电池舱的温度报警值设定为多少？"


@pytest.mark.parametrize(
    ("question", "before", "used"),
    [
        ("When was it built?", "How tall is the Eiffel Tower?", "When was the Eiffel Tower built?"),
        ("How long does it take?", FERRY, "How long does it take?"),
        ("And when does it arrive?", FERRY, "And when does Aurora arrive?"),
        ("What is its top speed?", "At what wind does MV Fulmar stop?", "What is MV Fulmar's top speed?"),
        ("Does she have a deputy?", "Who is the harbour master?", "Does the harbour master have a deputy?"),
        ("And for a motorcycle?", RATE, "What is the mileage rate for a motorcycle?"),
        ("And in 2023?", "How many cars were carried in 2024?", "How many cars were carried in 2023?"),
        ("What about MV Lady Muriel?", "At what wind does MV Fulmar stop?", "At what wind does MV Lady Muriel stop?"),
        ("Who approved that policy?", RATE, "Who approved that policy (the mileage rate for a private car)?"),
        ("How much is that?", "What is the price of a ticket?", "How much is the price of a ticket?"),
        ("它的电压是多少？", ALARM, "电池舱的电压是多少？"),
        ("那机舱呢？", ALARM, "机舱的温度报警值设定为多少？"),
    ],
)
def test_what_is_left_unsaid_comes_from_the_question_before(question: str, before: str, used: str) -> None:
    """A pronoun becomes the entity; a fragment takes the entity's place."""
    assert carry_over(question, before) == used


@pytest.mark.parametrize(
    "question",
    [
        "Where is the office?",
        "Does MV Fulmar use its radar?",
        "How long does it take to sail to Port Ewen?",
        "Is there a café on board?",
        "What does it cost to put a car on the ferry one way?",
        "How much is it going to be to put the old ship in dock?",
        "How windy does it have to get before the ferry stays in port?",
        "How much is a gift voucher and how long is it valid?",
        "The engineers looked at the pier, what did they say?",
        "A sailor asks if he can leave his boat for a month, how long is allowed?",
        "I travelled two weeks ago, how much time do I have left to claim it back?",
        "If I drive my own car to a meeting, what do they pay me a mile?",
        "How expensive can my room be if they send me to London?",
        "At what interval must deck officers renew their eye test?",
        "Which company made the modules that failed the test?",
        "Which firm supplied the modules that did not pass the test?",
        "How much was all the fish worth that came in during the year?",
        "Who was that nurse that took charge in the storm?",
        "When do we switch over to the winter sailings this year?",
        "谁负责安全培训？",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(question: str) -> None:
    """Carrying something over would only harm it."""
    assert carry_over(question, "Who is the harbour master?") == question


def test_without_history_nothing_is_carried_over() -> None:
    """The first question of a conversation."""
    assert asyncio.run(FollowUpRewriter().rewrite("When was it built?", [])) == "When was it built?"
