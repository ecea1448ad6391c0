"""The metrics of ragas that need no language model, against our own where both measure the same thing."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("ragas", reason="needs the extra citewell[ragas]")

from eval.judging import ragas_metrics
from eval.measures import contains_answer, exact_match, precision_at, quote_stands, recall_at
from eval.normalise import answer_tokens

WORDS = ["tolm", "ferry", "pier", "harbour", "lamp", "1871", "red", "keeper"]


async def test_recall_and_precision_by_id_agree_with_ours() -> None:
    """On random rankings of documents, each relevant one a gold group of its own."""
    draw = random.Random(1)  # noqa: S311 - not a secret
    for _ in range(200):
        retrieved = [f"d{draw.randrange(30)}" for _ in range(draw.randrange(1, 10))]
        relevant = sorted({f"d{draw.randrange(30)}" for _ in range(draw.randrange(1, 5))})
        groups = [frozenset([one]) for one in relevant]
        unique = list(dict.fromkeys(retrieved))
        ours = recall_at(retrieved, groups, len(retrieved))
        assert await ragas_metrics.id_recall(retrieved, relevant) == pytest.approx(ours)
        found = precision_at(retrieved, frozenset(relevant), len(unique))
        assert await ragas_metrics.id_precision(retrieved, relevant) == pytest.approx(found)


async def test_recall_and_precision_at_their_edges() -> None:
    """Without gold both are unscored; where nothing was retrieved, recall is 0 and precision unscored."""
    assert await ragas_metrics.id_recall(["a"], []) is None
    assert await ragas_metrics.id_recall([], ["a"]) == 0.0
    assert await ragas_metrics.id_precision([], ["a"]) is None


async def test_exact_match_and_presence_agree_on_normalised_words() -> None:
    """Between spaces and in lower case a substring is a run of tokens, and so both decide alike."""
    draw = random.Random(2)  # noqa: S311 - not a secret
    for _ in range(200):
        answer = [draw.choice(WORDS) for _ in range(draw.randrange(1, 8))]
        gold = [draw.choice(WORDS) for _ in range(draw.randrange(1, 3))]
        text, wanted = " ".join(answer), " ".join(gold)
        padded = await ragas_metrics.string_presence(f" {text} ", [f" {wanted} "])
        assert padded == float(contains_answer(text, [wanted]))
        assert await ragas_metrics.exact_match(text, [wanted]) == exact_match(text, [wanted])


async def test_presence_finds_a_cat_in_a_category_and_ours_does_not() -> None:
    """Where the two part: letters against tokens, and spelling against normalisation."""
    assert await ragas_metrics.string_presence("a category", ["cat"]) == 1.0
    assert not contains_answer("a category", ["cat"])
    assert await ragas_metrics.string_presence("The Lamp", ["the lamp"]) == 0.0
    assert answer_tokens("The Lamp") == answer_tokens("lamp")


async def test_quoted_spans_agree_with_quotes_that_stand() -> None:
    """Share of the quotes that stand in a passage, for quotes of three words and more."""
    passage = "The lighthouse of Tolm was built in 1871. It is red and white."
    quotes = ["was built in 1871", "It is RED and", "built in the year"]
    ours = sum(quote_stands(quote, passage) for quote in quotes) / len(quotes)
    assert await ragas_metrics.quoted_spans(quotes, [passage]) == pytest.approx(ours)


async def test_similarity_is_that_of_the_nearest_gold_answer() -> None:
    """One letter in four differs."""
    assert await ragas_metrics.string_similarity("1871", ["red", "1872"]) == pytest.approx(0.75)
    assert await ragas_metrics.string_similarity("1871", []) is None
