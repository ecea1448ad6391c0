"""A stochastic generator for measuring the gate: it quotes the sentence of a span drawn by the reader's logits."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from generate.answer import AnswerSpan, GeneratorInfo
from generate.assessment import ScoredSentence
from generate.generators import Evidence, Finished, Piece, Sentence

CHOICES = 6
"""Spans that are drawn among at most: those with the highest logits."""

_LOGIT_RANGE = math.log(100)
"""How far below the best one a span may be: others would be drawn in less than a hundredth of the asks."""

Pick = Callable[[Sequence[float]], int]
"""From the logits of the spans, best first, to the place of the one that is taken."""


@dataclass(frozen=True, slots=True)
class SpanChoice:
    """A sentence with one of its spans, and the reader's log-odds that it is the answer."""

    sentence: ScoredSentence
    span: AnswerSpan
    logit: float


class SampledSpans:
    """Quotes one sentence with one span marked; `logits` are those it chose among last, empty before."""

    def __init__(self, pick: Pick) -> None:
        self.info = GeneratorInfo("sampled-spans", None, None)
        self.logits: tuple[float, ...] = ()
        self._pick = pick

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        choices = span_choices(evidence.assessment.sentences)
        self.logits = tuple(choice.logit for choice in choices)
        if choices:
            taken = choices[self._pick(self.logits)]
            quote = taken.sentence.quote
            yield Sentence(quote.text, (quote,), (taken.span,))
        yield Finished()


def span_choices(sentences: Sequence[ScoredSentence]) -> list[SpanChoice]:
    """The spans of all sentences whose passage was read, by logit, at most `CHOICES`."""
    found = sorted((c for sentence in sentences for c in _choices(sentence)), key=lambda choice: -choice.logit)
    return [choice for choice in found[:CHOICES] if found[0].logit - choice.logit <= _LOGIT_RANGE]


def chances(logits: Sequence[float], temperature: float) -> list[float]:
    """Softmax of the logits over the temperature (above 0)."""
    highest = max(logits, default=0.0)
    raw = [math.exp((logit - highest) / temperature) for logit in logits]
    return [one / sum(raw) for one in raw]


def seeded_pick(temperature: float, seed: str) -> Pick:
    """Draws by `chances`; equal seeds give equal picks."""
    generator = random.Random(zlib.crc32(seed.encode()))  # noqa: S311 - not a secret

    def pick(logits: Sequence[float]) -> int:
        return generator.choices(range(len(logits)), chances(logits, temperature))[0]

    return pick


def _choices(sentence: ScoredSentence) -> list[SpanChoice]:
    quote = sentence.quote
    if quote.hit.reading is None:
        return []
    shift = quote.hit.char_start - quote.start
    marked = set(sentence.spans)
    spans = ((AnswerSpan(s.start + shift, s.end + shift), s.score) for s in quote.hit.reading.spans)
    return [SpanChoice(sentence, span, logit) for span, logit in spans if span in marked]
