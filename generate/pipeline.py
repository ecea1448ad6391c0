"""From a question to an outcome: search, judge the evidence, generate, check. Knows nothing of conversations, caches
and history; a replay and the evaluation enter it at a later stage.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from generate.answer import (
    DraftEvent,
    DroppedEvent,
    GeneratorInfo,
    Question,
    RefusalReason,
    RetrievalEvent,
    SentenceEvent,
    Usage,
)
from generate.assessment import Assessor
from generate.citations import CheckedSentence, CitationChecker
from generate.composition import Outcome
from generate.conflicts import ConflictFinder, Findings
from generate.generators import Draft, Evidence, Finished, Generator, Preparing, Sentence
from generate.policy import Decision
from ingest.collections import Collection
from ingest.generations import Generation
from retrieve import Access, Query, QuestionDecomposer, Ranking, Searcher

Event = RetrievalEvent | DraftEvent | SentenceEvent | DroppedEvent
ComputationEvent = Event | Outcome
"""What a computation yields: events on the way, then exactly one `Outcome`."""

_OPEN_CONFLICT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Task:
    """A question made to stand alone (`question_used`), and where and by whom it is asked.

    `parts` are to be searched for beside it; None leaves them to the decomposer, where there is one.
    """

    question: Question
    question_used: str
    collection: Collection
    generation: Generation
    access: Access
    parts: tuple[str, ...] | None = None

    @property
    def template(self) -> str | None:
        """The instruction text of the collection's template that the question names."""
        name = self.question.template
        return None if name is None else self.collection.templates.get(name)


@dataclass(slots=True)
class Progress:
    """What has been gathered so far on the way to one outcome."""

    timings_ms: dict[str, float] = field(default_factory=dict)
    proposed: list[Sentence] = field(default_factory=list)
    sentences: list[CheckedSentence] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    record: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Code points of the answer so far, with the space before the next sentence."""
        return sum(len(sentence.text) + 1 for sentence in self.sentences)

    def lap(self, stage: str, begun: float) -> None:
        self.timings_ms[stage] = round((time.perf_counter() - begun) * 1000, 3)


class Pipeline:
    """The stages from a task to its outcome, as they are configured."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        assessor: Assessor,
        generator: Generator,
        checker: CitationChecker,
        decomposer: QuestionDecomposer | None = None,
        conflicts: ConflictFinder | None = None,
    ) -> None:
        self._searcher = searcher
        self._assessor = assessor
        self._generator = generator
        self._checker = checker
        self._decomposer = decomposer
        self._conflicts = conflicts

    @property
    def generator(self) -> GeneratorInfo:
        """What writes the answers."""
        return self._generator.info

    def with_generator(self, generator: Generator) -> Pipeline:
        """The same stages with another generator."""
        other = copy.copy(self)
        other._generator = generator
        return other

    async def compute(self, task: Task, decision: Decision) -> AsyncIterator[ComputationEvent]:
        """From the question: search, then as `compute_from`."""
        progress = Progress()
        ranking = await self._search(task, progress)
        yield RetrievalEvent(ranking.hits)
        async with aclosing(self._answer_from(task, ranking, decision, progress)) as events:
            async for event in events:
                yield event

    async def search(self, task: Task) -> Ranking:
        """What `compute` would judge for this task."""
        return await self._search(task, Progress())

    async def compute_from(self, task: Task, ranking: Ranking, decision: Decision) -> AsyncIterator[ComputationEvent]:
        """From candidates: judge the evidence, generate, check."""
        async with aclosing(self._answer_from(task, ranking, decision, Progress())) as events:
            async for event in events:
                yield event

    async def check_again(self, proposed: Sequence[Sentence]) -> tuple[list[CheckedSentence], list[str]]:
        """From what was generated: the sentences that stand, and those that do not."""
        progress = Progress()
        for sentence in proposed:
            await self._checked(sentence, progress)
        return progress.sentences, progress.dropped

    async def _search(self, task: Task, progress: Progress) -> Ranking:
        """The question and its parts searched for side by side, under the same filter and rights."""
        if task.parts is not None:
            progress.parts = task.parts
        elif self._decomposer is not None:
            begun = time.perf_counter()
            progress.parts = await self._decomposer.parts(task.question_used)
            progress.lap("decompose", begun)
        begun = time.perf_counter()
        searches = [
            asyncio.to_thread(
                self._searcher.search,
                Query(text, top_k=task.question.top_k, filter=task.question.filter),
                collection_pk=task.collection.pk,
                generation=task.generation,
                access=task.access,
            )
            for text in (task.question_used, *progress.parts)
        ]
        ranking = self._searcher.join(await asyncio.gather(*searches), top_k=task.question.top_k)
        progress.timings_ms.update(ranking.timings_ms)
        progress.lap("search", begun)
        return ranking

    async def _answer_from(
        self, task: Task, ranking: Ranking, decision: Decision, progress: Progress
    ) -> AsyncGenerator[ComputationEvent, None]:
        async with self._preparing(task, ranking) as prepared:
            findings = await asyncio.to_thread(self._judged, task, ranking, progress)
            assessment = findings.assessment
            reason = _refusal_before(ranking, findings, decision)
            if reason is None:
                begun = time.perf_counter()
                evidence = await _evidence(task, ranking, findings, prepared)
                async for event in self._generate(evidence, progress):
                    yield event
                progress.lap("generate", begun)
                reason = _refusal_after(progress)
        yield Outcome(
            ranking,
            assessment,
            decision,
            reason,
            () if reason == "low_confidence" else findings.conflicts,
            tuple(progress.proposed),
            tuple(progress.sentences),
            tuple(progress.dropped),
            progress.usage,
            progress.record,
            progress.timings_ms,
            progress.parts,
        )

    @asynccontextmanager
    async def _preparing(self, task: Task, ranking: Ranking) -> AsyncIterator[asyncio.Task[object] | None]:
        """What the generator makes ready from all passages while they are judged; given up with the block."""
        generator = self._generator
        if not isinstance(generator, Preparing) or not ranking.hits:
            yield None
            return
        preparing = asyncio.ensure_future(generator.prepare(task.question_used, ranking.hits, task.template))
        await asyncio.sleep(0)  # it gets under way before the judging takes the processor
        try:
            yield preparing
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)

    def _judged(self, task: Task, ranking: Ranking, progress: Progress) -> Findings:
        """The evidence with contradictions settled; its confidence is that of one side, as if the other were not there:
        a rival answer makes the model doubt, and it is the conflict that decides. Both sides speak of what is asked, so
        what makes one of them an answer makes the other one too: the surer of both counts.
        """
        question, spec = task.question_used, task.generation.spec
        begun = time.perf_counter()
        assessment = self._assessor.assess(question, ranking.hits, spec)
        progress.lap("assess", begun)
        if self._conflicts is None:
            return Findings(assessment)
        begun = time.perf_counter()
        findings = self._conflicts.find(question, assessment)
        if findings.rivals:
            alone = self._assessor.assess(question, ranking.hits, spec, without=findings.rivals)
            surer = max(alone, assessment, key=lambda one: one.confidence)
            settled = replace(findings.assessment, confidence=surer.confidence, features=surer.features)
            findings = replace(findings, assessment=settled)
        progress.lap("conflicts", begun)
        return findings

    async def _generate(self, evidence: Evidence, progress: Progress) -> AsyncIterator[Event]:
        pieces = self._generator.generate(evidence)
        async with aclosing(cast(AsyncGenerator[object, None], pieces)):
            async for piece in pieces:
                match piece:
                    case Draft(text):
                        yield DraftEvent(text)
                    case Finished(usage, record):
                        progress.usage, progress.record = usage, record
                    case Sentence():
                        progress.proposed.append(piece)
                        yield await self._checked(piece, progress)

    async def _checked(self, sentence: Sentence, progress: Progress) -> SentenceEvent | DroppedEvent:
        start = progress.length
        marker = 1 + sum(len(one.citations) for one in progress.sentences)
        checked = await asyncio.to_thread(self._checker.check, sentence, answer_start=start, first_marker=marker)
        if isinstance(checked, str):
            progress.dropped.append(sentence.text)
            return DroppedEvent(sentence.text, checked)
        progress.sentences.append(checked)
        return SentenceEvent(start, checked.text, checked.citations)


async def _evidence(
    task: Task, ranking: Ranking, findings: Findings, preparing: asyncio.Task[object] | None
) -> Evidence:
    """The passages that no other one outranks; what was prepared serves where that is all of them."""
    hits = [hit for hit in ranking.hits if hit.chunk_id not in findings.outranked]
    prepared = await preparing if preparing is not None and len(hits) == len(ranking.hits) else None
    return Evidence(task.question_used, hits, findings.assessment, task.template, prepared)


def _refusal_before(ranking: Ranking, findings: Findings, decision: Decision) -> RefusalReason | None:
    """The policy's first decision: is this turn's evidence good enough to answer from?

    Two documents that contradict each other on what is asked are worth showing where one alone would not have been
    believed: for them half of the threshold is enough.
    """
    confidence = findings.assessment.confidence
    if not ranking.hits or not findings.assessment.sentences:
        return "no_evidence"
    if not findings.settled and confidence >= _OPEN_CONFLICT_SHARE * decision.threshold:
        return "conflicting_evidence"
    return "low_confidence" if confidence < decision.threshold else None


def _refusal_after(progress: Progress) -> RefusalReason | None:
    """The policy's second decision: does anything stand that was said?"""
    if progress.sentences:
        return None
    return "no_evidence" if progress.record.get("declined") else "unsupported_answer"
