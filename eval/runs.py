"""A run over a question set: every question and paraphrase asked K times on the path that the API uses.

Asks that are done already are left out, so that a run goes on where it was stopped. Nothing is dropped: what fails is
a row with decision `error`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from collections.abc import Collection as AbstractCollection
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from eval.question_sets import EvaluationQuestion, QuestionSet
from eval.rows import EvaluationRow, Observation, score
from eval.workers import at_once
from generate.answer import Answer, AnswerEvent, DoneEvent, Question, RetrievalEvent, SentenceEvent
from generate.answerer import Answerer
from ingest.clock import now
from ingest.collections import Collection
from ingest.errors import CitewellError
from ingest.generations import Generation
from retrieve import Access, Hit


@dataclass(frozen=True, slots=True)
class Ask:
    """One ask: a phrasing of a question (0: the question itself) for the `replicate`-th time."""

    question: EvaluationQuestion
    phrasing: int
    text: str
    replicate: int

    @property
    def key(self) -> tuple[str, int, int]:
        return self.question.id, self.phrasing, self.replicate


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and as whom a run asks. `process` names this start of the service, `threshold` is the policy's."""

    collection: Collection
    generation: Generation
    access: Access
    key_id: str | None
    top_k: int
    threshold: float
    process: str


def planned_asks(
    questions: QuestionSet, replicates: Sequence[int], *, without: AbstractCollection[str] = ()
) -> list[Ask]:
    """All asks, replicate by replicate, so that a stopped run has every question; `without` names questions to skip."""
    return [
        Ask(question, phrasing, text, replicate)
        for replicate in replicates
        for question in questions.questions
        if question.id not in without
        for phrasing, text in _phrasings(question)
    ]


async def run_asks(
    asks: Sequence[Ask],
    *,
    answerer: Answerer,
    setting: Setting,
    concurrency: int,
    on_row: Callable[[EvaluationRow], Awaitable[None]],
) -> None:
    """Asks in order, `concurrency` at a time; `on_row` sees each row as it comes, and may raise to stop the run."""
    waiting = iter(asks)

    async def work() -> None:
        for ask in waiting:
            await on_row(await ask_once(ask, answerer=answerer, setting=setting))

    await at_once(work, workers=concurrency)


async def ask_once(ask: Ask, *, answerer: Answerer, setting: Setting) -> EvaluationRow:
    """One ask on the answer path, without the cache, scored."""
    asked_at = now()
    seen = await _observe(ask, answerer, setting)
    return score(
        ask.question,
        seen,
        phrasing=ask.phrasing,
        text=ask.text,
        replicate=ask.replicate,
        process=setting.process,
        asked_at=asked_at,
    )


async def _observe(ask: Ask, answerer: Answerer, setting: Setting) -> Observation:
    hits: tuple[Hit, ...] = ()
    sentences: list[SentenceEvent] = []
    answer: Answer | None = None
    error: str | None = None
    events = answerer.stream(
        Question(ask.text, top_k=setting.top_k, filter=ask.question.filter, cache=False),
        collection=setting.collection,
        generation=setting.generation,
        access=setting.access,
        key_id=setting.key_id,
    )
    try:
        async with aclosing(cast(AsyncGenerator[AnswerEvent, None], events)):
            async for event in events:
                match event:
                    case RetrievalEvent(found):
                        hits = found
                    case SentenceEvent():
                        sentences.append(event)
                    case DoneEvent(finished):
                        answer = finished
    except CitewellError as failure:
        error = failure.code
    return Observation(hits, tuple(sentences), answer, setting.threshold, error)


def _phrasings(question: EvaluationQuestion) -> Iterator[tuple[int, str]]:
    return enumerate((question.question, *question.paraphrases))
