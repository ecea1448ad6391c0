"""The generator that draws among the reader's spans."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from eval.bench.sampling import SampledSpans, chances, seeded_pick, span_choices
from generate.answer import AnswerSpan
from generate.assessment import Assessment, Quote, ScoredSentence
from generate.generators import Evidence, Finished, Sentence
from ingest.models import Reading, SpanScore
from tests.hits import hit_of

TEXT = "The light of Tolm is red. It was built in 1871."
READING = Reading(3.0, -2.0, (SpanScore(42, 46, 2.0), SpanScore(21, 24, 0.0)))
HIT = replace(hit_of("a.txt", TEXT, start=100), reading=READING)
SENTENCES = (
    ScoredSentence(Quote(HIT, 126, 147), 0.9, (AnswerSpan(16, 20),)),
    ScoredSentence(Quote(HIT, 100, 125), 0.1, (AnswerSpan(21, 24),)),
)


def generated(generator: SampledSpans) -> list[Sentence]:
    async def drain() -> list[object]:
        evidence = Evidence("When was it built?", (HIT,), Assessment(SENTENCES, 0.9, {}))
        return [piece async for piece in generator.generate(evidence)]

    pieces = asyncio.run(drain())
    assert isinstance(pieces[-1], Finished)
    return [piece for piece in pieces if isinstance(piece, Sentence)]


def test_spans_are_drawn_with_the_sentence_they_stand_in() -> None:
    """Each choice quotes its own sentence and marks its own span."""
    texts = {}
    for place in (0, 1):
        (sentence,) = generated(SampledSpans(lambda logits, place=place: place))
        texts[place] = sentence.text, sentence.text[sentence.spans[0].start : sentence.spans[0].end]
    assert texts == {0: ("It was built in 1871.", "1871"), 1: ("The light of Tolm is red.", "red")}


def test_draws_follow_the_logits_and_the_seed() -> None:
    """Logits 2 and 0: the first in 88 of 100 draws; equal seeds give equal draws."""
    assert chances([2.0, 0.0], 1.0) == pytest.approx([0.8808, 0.1192], abs=1e-4)
    picks = [seeded_pick(1.0, f"seed {n}")([2.0, 0.0]) for n in range(2000)]
    assert Counter(picks)[0] / 2000 == pytest.approx(0.88, abs=0.03)
    assert picks[:50] == [seeded_pick(1.0, f"seed {n}")([2.0, 0.0]) for n in range(50)]


def test_spans_that_would_hardly_be_drawn_are_left_out() -> None:
    """Below a hundredth of the best one's odds; and passages that were not read have none."""
    far = Reading(3.0, -2.0, (SpanScore(42, 46, 2.0), SpanScore(21, 24, -3.0)))
    sentences = [replace(s, quote=replace(s.quote, hit=replace(HIT, reading=far))) for s in SENTENCES]
    assert [choice.logit for choice in span_choices(sentences)] == [2.0]
    unread = [replace(s, quote=replace(s.quote, hit=replace(HIT, reading=None))) for s in SENTENCES]
    assert span_choices(unread) == []
