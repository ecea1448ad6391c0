"""The protocol of generators: evidence in, candidate sentences with the evidence they rest on out.

A generator only proposes. Whether a sentence stands, and whether the question is answered at all, is decided
afterwards by the policy and the citation check, which are the same for every generator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from generate.answer import AnswerSpan, GeneratorInfo, Usage
from generate.assessment import Assessment, Quote
from retrieve import Hit


@dataclass(frozen=True, slots=True)
class Sentence:
    """A proposed sentence of the answer; `spans` mark the short answer(s) in it, offsets into `text`."""

    text: str
    quotes: tuple[Quote, ...]
    spans: tuple[AnswerSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A piece of unchecked text, as it arrives from a language model."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The generator's last word, with its token counts."""

    usage: Usage = field(default_factory=Usage)


Piece = Draft | Sentence | Finished


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a generator may use: the question, this turn's passages (best first), and what the assessor made of them."""

    question: str
    hits: Sequence[Hit]
    assessment: Assessment


class Generator(Protocol):
    """Proposes an answer from evidence. Yields any number of `Draft` and `Sentence`, then exactly one `Finished`.

    Raises `Unavailable` when its model cannot be reached, `DeadlineExceeded` when it is too slow. Closing the
    iterator cancels the work.
    """

    info: GeneratorInfo

    def generate(self, evidence: Evidence) -> AsyncIterator[Piece]: ...
