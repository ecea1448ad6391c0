"""The one path from a question to an answer. HTTP, CLI, the OpenAI route, MCP and the evaluation all run `stream`;
`ask` drains it. What it computes is the matter of `generate.pipeline`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar, cast

from generate.answer import (
    Answer,
    AnswerEvent,
    DoneEvent,
    DraftEvent,
    GeneratorInfo,
    Question,
)
from generate.answer_cache import AnswerCache
from generate.answers import Answers
from generate.composition import Outcome, compose, trace_of
from generate.conversations import Conversations, within_budget
from generate.fingerprint import pipeline_fingerprint, template_fingerprint
from generate.generators import Generator
from generate.pipeline import ComputationEvent, Pipeline, Task
from generate.policy import Decision, RefusalPolicy
from generate.settings import SECRETS, GenerateSettings
from ingest.collections import Collection
from ingest.generations import Generation
from retrieve import Access, QueryRewriter, RetrieveSettings, Searcher

Result = TypeVar("Result")


class Answerer:
    """Answers questions on any generation of any collection."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        pipeline: Pipeline,
        policy: RefusalPolicy,
        answers: Answers,
        retrieve_settings: RetrieveSettings,
        settings: GenerateSettings,
        judging: str = "",
        rewriter: QueryRewriter | None = None,
        conversations: Conversations | None = None,
        cache: AnswerCache | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`pipeline` computes what is not remembered; `close` ends the connections that the running event loop has to a
        language model.
        """
        self._searcher = searcher
        self.pipeline = pipeline
        self._policy = policy
        self._answers = answers
        self._retrieve_settings = retrieve_settings
        self._settings = settings
        self._judging = judging
        self._rewriter = rewriter
        self._conversations = conversations
        self._cache = cache
        self._close = close

    def with_generator(self, generator: Generator) -> Answerer:
        """The same path with another generator at its end."""
        other = copy.copy(self)
        other.pipeline = self.pipeline.with_generator(generator)
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
        info = self.pipeline.generator
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
        """As the pipeline does, under the decision that the policy makes now."""
        decision = await self._decide(task)
        computed = self.pipeline.compute(task, decision)
        async with aclosing(cast(AsyncGenerator[ComputationEvent, None], computed)) as events:
            async for event in events:
                yield event

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

    def _settings_json(self) -> dict[str, Any]:
        retrieve = {name: getattr(self._retrieve_settings, name) for name in RetrieveSettings.model_fields}
        generate = {n: getattr(self._settings, n) for n in GenerateSettings.model_fields if n not in SECRETS}
        return {**retrieve, **generate}
