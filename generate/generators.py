"""The protocol of generators: evidence in, candidate sentences with the evidence they rest on out.

A generator only proposes. Whether a sentence stands, and whether the question is answered at all, is decided
afterwards by the policy and the citation check, which are the same for every generator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from generate.answer import AnswerSpan, GeneratorInfo, Usage
from generate.assessment import Assessment, Quote
from retrieve import Hit


@dataclass(frozen=True, slots=True)
class Sentence:
    """A proposed sentence of the answer; `spans` mark the short answer(s) in it, offsets into `text`.

    It cites exact `quotes`, or whole `passages` of which the citation check finds the quote that supports it best.
    `fault` says why the generator itself knows that the sentence cannot stand.
    """

    text: str
    quotes: tuple[Quote, ...] = ()
    spans: tuple[AnswerSpan, ...] = ()
    passages: tuple[Hit, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A piece of unchecked text, as it arrives from a language model."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The generator's last word: its token counts, and what is to be kept in the trace.

    Of `record`, `prompt` (the text sent), `seeds` and `declined` (true when the model said that the passages hold no
    answer) have a meaning to others.
    """

    usage: Usage = field(default_factory=Usage)
    record: Mapping[str, Any] = field(default_factory=dict)


Piece = Draft | Sentence | Finished


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a generator may use: the question, this turn's passages (best first), and what the assessor made of them.

    `template` is a collection's own instruction text, for generators that follow instructions; `prepared` is what the
    generator made of the same question, passages and template beforehand (`Preparing`).
    """

    question: str
    hits: Sequence[Hit]
    assessment: Assessment
    template: str | None = None
    prepared: object = None


class Generator(Protocol):
    """Proposes an answer from evidence. Yields any number of `Draft` and `Sentence`, then exactly one `Finished`.

    Raises `Unavailable` when its model cannot be reached, `DeadlineExceeded` when it is too slow. Closing the
    iterator cancels the work.
    """

    info: GeneratorInfo

    def generate(self, evidence: Evidence) -> AsyncIterator[Piece]: ...


@runtime_checkable
class Preparing(Protocol):
    """A generator with work that needs no assessment: it can be done while the evidence is still being judged."""

    async def prepare(self, question: str, hits: Sequence[Hit], template: str | None) -> object:
        """To be handed back as `Evidence.prepared`. Raises as `generate` does."""
        ...
