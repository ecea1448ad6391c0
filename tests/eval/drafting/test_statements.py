"""Questions made of statements by rule."""

from __future__ import annotations

import pytest

from eval.drafting.statements import question_of


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The lighthouse of Tolm was built of stone in 1871.", "When was the lighthouse of Tolm built of stone?",
         "1871"),
        ("Ingrid Solberg is the harbour master of Tolm.", "Who is the harbour master of Tolm?", "Ingrid Solberg"),
        ("The café on deck five closes at 21:00.", "At what time does the café on deck five close?", "21:00"),
        ("The visitor pontoon has 14 berths for yachts.", "How many berths does the visitor pontoon have?", "14"),
        ("The mileage rate is 45 pence per mile.", "What is the mileage rate?", "45 pence per mile"),
        ("A day ticket costs £12.50 in summer.", "How much does a day ticket cost?", "£12.50"),
        ("Winter repairs cost £2.31 million in all.", "How much did winter repairs cost?", "£2.31 million"),
        ("All incidents must be reported within 24 hours.", "Within what time must all incidents be reported?",
         "24 hours"),
        ("海洋大学于1998年迁至舟山群岛。", "海洋大学在哪一年迁至舟山群岛？", "1998年"),
        ("群岛的总面积是22200平方公里。", "群岛的总面积是多少？", "22200平方公里"),
    ],
)  # fmt: skip
def test_a_plain_statement_becomes_its_question(sentence: str, question: str, answer: str) -> None:
    """The answer stands in the sentence."""
    asked = question_of(sentence)
    assert asked is not None
    assert (asked.question, asked.answer) == (question, answer)
    assert asked.answer in asked.quote


@pytest.mark.parametrize(
    "sentence",
    [
        "It was built in 1871 by the company of Tolm.",
        "The cost was £214,600.",
        "Sickness was 4.9 per cent of days.",
        "The keeper liked the light, and so did all.",
        "",
    ],
)
def test_what_needs_its_context_makes_no_question(sentence: str) -> None:
    """A pronoun, a fragment, nothing to ask for."""
    assert question_of(sentence) is None
