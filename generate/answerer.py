"""The one path from a question to an answer. HTTP, CLI, the OpenAI route, MCP and the evaluation all run `stream`;
`ask` drains it; a replay enters it at a later stage.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from generate.answer import (
    Answer,
    AnswerEvent,
    DoneEvent,
    DraftEvent,
    DroppedEvent,
    GeneratorInfo,
    Question,
    RefusalReason,
    RetrievalEvent,
    SentenceEvent,
    Usage,
)
from generate.answer_cache import AnswerCache
from generate.answers import Answers
from generate.assessment import Assessor
from generate.citations import CheckedSentence, CitationChecker
from generate.composition import Outcome, compose, trace_of
from generate.conflicts import ConflictFinder, Findings
from generate.conversations import Conversations, within_budget
from generate.fingerprint import pipeline_fingerprint, template_fingerprint
from generate.generators import Draft, Evidence, Finished, Generator, Preparing, Sentence
from generate.policy import Decision, RefusalPolicy
from generate.settings import SECRETS, GenerateSettings
from ingest.collections import Collection
from ingest.generations import Generation
from retrieve import Access, Query, QueryRewriter, QuestionDecomposer, Ranking, RetrieveSettings, Searcher

Event = RetrievalEvent | DraftEvent | SentenceEvent | DroppedEvent
Result = TypeVar("Result")
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


class Answerer:
    """Answers questions on any generation of any collection."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        assessor: Assessor,
        generator: Generator,
        checker: CitationChecker,
        policy: RefusalPolicy,
        answers: Answers,
        retrieve_settings: RetrieveSettings,
        settings: GenerateSettings,
        judging: str = "",
        rewriter: QueryRewriter | None = None,
        decomposer: QuestionDecomposer | None = None,
        conversations: Conversations | None = None,
        conflicts: ConflictFinder | None = None,
        cache: AnswerCache | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`close` ends the connections that the running event loop has to a language model."""
        self._searcher = searcher
        self._assessor = assessor
        self._generator = generator
        self._checker = checker
        self._policy = policy
        self._answers = answers
        self._retrieve_settings = retrieve_settings
        self._settings = settings
        self._judging = judging
        self._rewriter = rewriter
        self._decomposer = decomposer
        self._conversations = conversations
        self._conflicts = conflicts
        self._cache = cache
        self._close = close

    def with_generator(self, generator: Generator) -> Answerer:
        """The same path with another generator at its end."""
        other = copy.copy(self)
        other._generator = generator
        return other

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, which asks this answerer, on an event loop of its own; for threads without one.

        The connections to a language model that it opened there are closed, however it ends.
        """

        async def closing() -> Result:
            try:
                return await work
            finally:
                if self._close is not None:
                    await self._close()

        return asyncio.run(closing())

    def fingerprint(self, generation: Generation, template: str | None = None) -> str:
        """The pipeline fingerprint of answers on this generation, with a collection's template where one is used."""
        return pipeline_fingerprint(
            generation.spec,
            fusion=self._searcher.fusion_of(generation.spec),
            retrieve=self._retrieve_settings,
            generate=self._settings,
            reranker=self._searcher.reranker_name,
            generator=self.generator_info(template),
            judging=self._judging,
        )

    def generator_info(self, template: str | None = None) -> GeneratorInfo:
        """What will write the answer; the prompt's name includes the template's fingerprint."""
        info = self._generator.info
        if template is None or info.prompt is None:
            return info
        return replace(info, prompt=f"{info.prompt}+{template_fingerprint(template)}")

    async def ask(
        self,
        question: Question,
        *,
        collection: Collection,
        generation: Generation,
        access: Access,
        key_id: str | None,
    ) -> Answer:
        """The answer at the end of `stream`."""
        events = self.stream(question, collection=collection, generation=generation, access=access, key_id=key_id)
        async with aclosing(cast(AsyncGenerator[AnswerEvent, None], events)):
            async for event in events:
                if isinstance(event, DoneEvent):
                    return event.answer
        raise AssertionError("a stream ends with its answer or an error")

    async def stream(
        self,
        question: Question,
        *,
        collection: Collection,
        generation: Generation,
        access: Access,
        key_id: str | None,
    ) -> AsyncIterator[AnswerEvent]:
        """Events in order: one `RetrievalEvent`; `SentenceEvent`, `DroppedEvent` and (on request) `DraftEvent`; one
        `DoneEvent`.

        The decision rests on this question's evidence only. Raises `InvalidInput`, `Conflict` (`no_certificate`),
        `DeadlineExceeded`, `Overloaded` and `Unavailable` as the stages do; then nothing is stored.
        """
        begun = time.perf_counter()
        timings: dict[str, float] = {}
        used = await self._standalone(question, collection, key_id, timings)
        task = Task(question, used, collection, generation, access)
        outcome, cached = None, False
        async with aclosing(self._computed(task)) as events:
            async for event, from_cache in events:
                if isinstance(event, Outcome):
                    outcome, cached = event, from_cache
                elif question.draft or not isinstance(event, DraftEvent):
                    yield event
        assert outcome is not None
        if not cached:
            timings |= outcome.timings_ms
        timings["total"] = round((time.perf_counter() - begun) * 1000, 3)
        answer = self.compose(task, outcome, timings)
        trace = trace_of(
            outcome,
            question,
            question_used=used,
            generation=generation,
            generator=answer.generator,
            access_tags=None if access.tags is None else sorted(access.tags),
            settings=self._settings_json(),
            cached=cached,
            timings_ms=timings,
        )
        await asyncio.to_thread(
            self._answers.save,
            answer,
            trace,
            collection_pk=collection.pk,
            key_id=key_id,
            document_pks=[hit.document_pk for hit in outcome.ranking.hits],
        )
        yield DoneEvent(answer)

    def compose(
        self, task: Task, outcome: Outcome, timings_ms: Mapping[str, float], answer_id: str | None = None
    ) -> Answer:
        """The answer that an outcome of this task amounts to; nothing is stored."""
        return compose(
            outcome,
            task.question,
            question_used=task.question_used,
            generation=task.generation,
            fingerprint=self.fingerprint(task.generation, task.template),
            generator=self.generator_info(task.template),
            timings_ms=timings_ms,
            answer_id=answer_id,
        )

    async def compute(self, task: Task) -> AsyncIterator[ComputationEvent]:
        """From the question: search, then as `compute_from`."""
        decision = await self._decide(task)
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

    async def _standalone(
        self, question: Question, collection: Collection, key_id: str | None, timings_ms: dict[str, float]
    ) -> str:
        """The question in words that need no conversation; nothing but words is taken from the turns before."""
        if self._rewriter is None or (question.conversation_id is None and not question.history):
            return question.text
        budget = self._settings.conversation_turns, self._settings.conversation_chars
        history: Sequence[str] = within_budget(question.history, turns=budget[0], chars=budget[1])
        if question.conversation_id is not None and self._conversations is not None:
            history = await asyncio.to_thread(
                self._conversations.questions_before,
                question.conversation_id,
                collection_pk=collection.pk,
                key_id=key_id,
            )
        if not history:
            return question.text
        begun = time.perf_counter()
        used = await self._rewriter.rewrite(question.text, history)
        timings_ms["rewrite"] = round((time.perf_counter() - begun) * 1000, 3)
        return used

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

    async def _computed(self, task: Task) -> AsyncGenerator[tuple[ComputationEvent, bool], None]:
        """Events of the computation, each with whether it was remembered or shared instead of computed for this
        question.
        """
        if self._cache is None or not task.question.cache:
            async with aclosing(cast(AsyncGenerator[ComputationEvent, None], self.compute(task))) as events:
                async for event in events:
                    yield event, False
            return
        decision = await self._decide(task)
        key = await asyncio.to_thread(self._cache_key, task, decision)
        async with aclosing(self._cache.stream(key, lambda: self.compute(task))) as shared:
            async for item in shared:
                yield item

    def _cache_key(self, task: Task, decision: Decision) -> tuple[object, ...]:
        seq = self._searcher.snapshot_seq(collection_pk=task.collection.pk, generation=task.generation)
        return (
            task.collection.pk,
            task.generation.generation,
            self.fingerprint(task.generation, task.template),
            seq,
            task.access.tags,
            task.question_used,
            task.question.top_k,
            json.dumps(task.question.filter, sort_keys=True),
            decision,
        )

    async def _decide(self, task: Task) -> Decision:
        return await asyncio.to_thread(
            self._policy.decide,
            collection_pk=task.collection.pk,
            fingerprint=self.fingerprint(task.generation, task.template),
            max_risk=task.question.max_risk,
        )

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

    def _settings_json(self) -> dict[str, Any]:
        retrieve = {name: getattr(self._retrieve_settings, name) for name in RetrieveSettings.model_fields}
        generate = {n: getattr(self._settings, n) for n in GenerateSettings.model_fields if n not in SECRETS}
        return {**retrieve, **generate}


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
