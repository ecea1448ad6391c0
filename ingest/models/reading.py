"""What a reading model says of a question and a passage: how relevant, where the answer stands, or that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.models.cross_encoder import Pair


@dataclass(frozen=True, slots=True)
class SpanScore:
    """Half-open span `[start, end)` of code points of the passage that may be the answer.

    `score` is the natural log of the odds that the span is the answer against "no answer in this passage": above 0 the
    model prefers the span. Comparable between passages.
    """

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One passage read with one question in mind.

    `relevance`: logit, greater is more relevant; only differences between passages of one question mean something.
    `no_answer`: logit that the passage does not answer the question; above 0 it probably does not.
    `spans`: best first, not overlapping, few (at most five); empty only for a passage without words.
    """

    relevance: float
    no_answer: float
    spans: tuple[SpanScore, ...]


class PassageReader(Protocol):
    """A model that reads a question and a passage together. Called by one thread at a time (the runtime's worker).

    `languages` are ISO 639-1 codes that it was trained on, None for any; `max_tokens` is the length of one window of
    question and passage, in its own tokens: a longer passage is read in overlapping windows.
    """

    name: str
    revision: str
    languages: tuple[str, ...] | None
    max_tokens: int

    def read(self, pairs: Sequence[Pair]) -> Sequence[Reading]:
        """One reading a pair (question, passage), in their order."""
        ...
