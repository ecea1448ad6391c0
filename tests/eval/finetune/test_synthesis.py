"""Examples made of examples: what was cut, changed and asked must be what the labels say."""

from __future__ import annotations

import random

import pytest

from eval.finetune.examples import Example
from eval.finetune.synthesis import cloze, edited, without_evidence

PASSAGE = (
    "Ferries\nThe ferry Aurelia left Skarva in 1912. The harbour master Oda Lind kept her log. "
    "She carried forty cars. Nobody counted the passengers in 1912."
)
OTHER = "Bridges\nThe bridge of Tornby was built by Emil Varg, and it still carries the road."


def drawing(seed: int) -> random.Random:
    """A generator of its own for each test."""
    return random.Random(seed)  # noqa: S311 - not a secret


def example(question: str, answer: str, passage: str = PASSAGE) -> Example:
    """An answerable example with the first place of the answer."""
    start = passage.index(answer)
    return Example("set", question, True, (passage, OTHER), (start, start + len(answer)))


def test_without_evidence_the_answer_is_gone_and_the_rest_stays() -> None:
    """The title and the other sentences stand as they were."""
    made = without_evidence(example("Who kept the log of Aurelia?", "Oda Lind"))
    assert made is not None
    assert (made.answerable, made.answer) == (False, None)
    assert "Oda Lind" not in made.passages[0]
    assert made.passages[0].startswith("Ferries\nThe ferry Aurelia left Skarva in 1912. She carried forty cars.")


def test_every_sentence_with_the_answer_is_cut() -> None:
    """A second mention would still answer the question."""
    made = without_evidence(example("When did Aurelia leave?", "1912"))
    assert made is not None
    assert "1912" not in made.passages[0]


def test_too_little_left_makes_no_example() -> None:
    """A passage of one or two sentences is nothing without its evidence."""
    assert without_evidence(example("Who left?", "Aurelia", "Ferries\nThe ferry Aurelia left. It sank.")) is None


@pytest.mark.parametrize("seed", range(20))
def test_an_edited_question_differs_and_has_no_answer(seed: int) -> None:
    """Name, number, opposite or negation: something changed, and only the one passage stays."""
    asked = example("Who kept the log when Aurelia left Skarva in 1912?", "Oda Lind")
    made = edited(asked, [OTHER], drawing(seed))
    assert made is not None
    assert made.question != asked.question
    assert (made.answerable, made.answer, made.passages) == (False, None, (PASSAGE,))


def test_a_changed_number_stands_nowhere_in_the_passage() -> None:
    """Otherwise the edited question might have an answer after all."""
    asked = example("who kept the log in 1912", "Oda Lind")
    questions = {made.question for seed in range(30) if (made := edited(asked, [OTHER], drawing(seed)))}
    assert questions
    assert all("1912" not in question or " not" in question or "never" in question for question in questions)


def test_a_question_that_has_no_answer_is_not_edited() -> None:
    """It is unanswerable already; edited, it might become answerable."""
    asked = Example("set", "Who sank Aurelia?", False, (PASSAGE,), None)
    assert edited(asked, [OTHER], drawing(1)) is None


@pytest.mark.parametrize("seed", range(10))
def test_the_answer_of_a_cloze_is_not_in_its_question(seed: int) -> None:
    """The span is a name or a number of the passage, and the question begins or goes on without it."""
    made = cloze(PASSAGE, "set-cloze", drawing(seed))
    assert made is not None
    assert made.answer is not None
    answer = PASSAGE[slice(*made.answer)]
    assert answer in {"Skarva", "1912", "Oda Lind", "Aurelia"}
    assert answer.lower() not in made.question
    assert made.question == made.question.lower()


def test_a_text_without_names_and_numbers_makes_no_cloze() -> None:
    """There is nothing to ask for."""
    assert cloze("Title\nit was raining and nobody came to the pier that evening.", "set", drawing(1)) is None
