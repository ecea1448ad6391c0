"""Sentences changed by rule."""

from __future__ import annotations

import random

import pytest

from eval.perturbations import edited, negated, restated, swapped


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - not a secret


@pytest.mark.parametrize(
    ("question", "answer", "statement"),
    [
        ("Who built the engine?", "Ada", "Ada built the engine."),
        ("What was the name of the ship?", "Fulmar", "The name of the ship was Fulmar."),
        ("When was the pier opened?", "1871", "The pier was opened in 1871."),
        ("When did the war end?", "in May 1945", "The war ended in May 1945."),
        ("富尔玛号在哪一年建造？", "2011年", "富尔玛号在2011年建造。"),
        ("Why do ships sink?", "holes", None),
    ],
)
def test_question_and_answer_become_a_statement(question: str, answer: str, statement: str | None) -> None:
    """Where a rule fits."""
    assert restated(question, answer) == statement


def test_edits_keep_figures_and_names() -> None:
    """Parentheses, adverbs, a leading phrase, synonyms: what is claimed stays."""
    sentence = "In 1871, the pier (built of oak) was also used by MV Fulmar, which was a large ship, for several years."
    changed = {edited(sentence, seeded(seed)) for seed in range(30)}
    assert len(changed) > 5
    assert all(one and "1871" in one and "Fulmar" in one and one != sentence for one in changed)


def test_one_figure_or_name_is_swapped() -> None:
    """And nothing else."""
    sentence = "The pier was opened by Ada Lovelace in 1871."
    for seed in range(20):
        changed = swapped(sentence, ["Grace Hopper"], seeded(seed))
        assert changed
        assert ("1871" in changed) != ("Ada Lovelace" in changed)
    assert swapped("the pier is old", [], seeded(1)) is None


@pytest.mark.parametrize(
    ("sentence", "negations"),
    [
        ("The pier is not open.", {"The pier is open."}),
        ("The pier is open.", {"The pier is not open.", "The pier isn't open."}),
        ("The fleet sailed home.", {"The fleet never sailed home."}),
        ("码头是开放的。", {"码头不是开放的。"}),
    ],
)
def test_a_negation_is_added_or_removed(sentence: str, negations: set[str]) -> None:
    """In the simplest way."""
    assert {negated(sentence, seeded(seed)) for seed in range(20)} == negations
