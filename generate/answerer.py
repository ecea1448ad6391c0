"""The one path from a question to an answer. HTTP, CLI, the OpenAI route and the evaluation all run `stream`; `ask`
drains it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generate.answer import (
    Answer,
    AnswerEvent,
    AnswerSpan,
    Citation,
    DoneEvent,
    DraftEvent,
    DroppedEvent,
    Question,
    Refusal,
    RefusalReason,
    RetrievalEvent,
    SentenceEvent,
    Usage,
)
from generate.answers import Answers, as_json
from generate.assessment import Assessment, Assessor
from generate.citations import CheckedSentence, CitationChecker
from generate.fingerprint import pipeline_fingerprint
from generate.generators import Draft, Evidence, Finished, Generator, Sentence
from generate.policy import Decision, RefusalPolicy
from generate.settings import GenerateSettings
from ingest.clock import now
from ingest.collections import Collection
from ingest.documents import new_id
from ingest.generations import Generation
from retrieve import Access, Query, Ranking, RetrieveSettings, Searcher

_NEAREST = 3
_MESSAGES: Mapping[RefusalReason, str] = {
    "no_evidence": "No passage of the collection matches the question.",
    "low_confidence": "The passages found do not answer the question with enough confidence.",
    "conflicting_evidence": "The passages found contradict each other, and nothing decides between them.",
    "unsupported_answer": "No sentence of the drafted answer is supported by the passages found.",
}


@dataclass(slots=True)
class _Progress:
    """What has been gathered so far on the way to one answer."""

    begun: float = field(default_factory=time.perf_counter)
    timings_ms: dict[str, float] = field(default_factory=dict)
    sentences: list[CheckedSentence] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)

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
    ) -> None:
        self._searcher = searcher
        self._assessor = assessor
        self._generator = generator
        self._checker = checker
        self._policy = policy
        self._answers = answers
        self._retrieve_settings = retrieve_settings
        self._settings = settings

    def fingerprint(self, generation: Generation) -> str:
        """The pipeline fingerprint of answers on this generation."""
        return pipeline_fingerprint(
            generation.spec,
            retrieve=self._retrieve_settings,
            generate=self._settings,
            reranker=self._searcher.reranker_name,
            generator=self._generator.info,
        )

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
        async for event in self.stream(
            question, collection=collection, generation=generation, access=access, key_id=key_id
        ):
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
        progress = _Progress()
        fingerprint = self.fingerprint(generation)
        decision = await asyncio.to_thread(
            self._policy.decide,
            collection_pk=collection.pk,
            fingerprint=fingerprint,
            max_risk=question.max_risk,
        )
        ranking = await self._search(question, collection, generation, access, progress)
        yield RetrievalEvent(ranking.hits)
        begun = time.perf_counter()
        assessment = await asyncio.to_thread(self._assessor.assess, question.text, ranking.hits, generation.spec)
        progress.lap("assess", begun)
        reason = _refusal_before(ranking, assessment, decision)
        if reason is None:
            begun = time.perf_counter()
            async for event in self._generate(question, ranking, assessment, progress):
                yield event
            progress.lap("generate", begun)
            reason = None if progress.sentences else "unsupported_answer"
        answer = self._compose(question, generation, fingerprint, decision, ranking, assessment, progress, reason)
        trace = self._trace(question, generation, decision, ranking, assessment, progress)
        await asyncio.to_thread(
            self._answers.save,
            answer,
            trace,
            collection_pk=collection.pk,
            key_id=key_id,
            document_pks=[hit.document_pk for hit in ranking.hits],
        )
        yield DoneEvent(answer)

    async def _search(
        self,
        question: Question,
        collection: Collection,
        generation: Generation,
        access: Access,
        progress: _Progress,
    ) -> Ranking:
        begun = time.perf_counter()
        query = Query(question.text, top_k=question.top_k, filter=question.filter)
        ranking = await asyncio.to_thread(
            self._searcher.search, query, collection_pk=collection.pk, generation=generation, access=access
        )
        progress.timings_ms.update(ranking.timings_ms)
        progress.lap("search", begun)
        return ranking

    async def _generate(
        self, question: Question, ranking: Ranking, assessment: Assessment, progress: _Progress
    ) -> AsyncIterator[AnswerEvent]:
        async for piece in self._generator.generate(Evidence(question.text, ranking.hits, assessment)):
            match piece:
                case Draft(text):
                    if question.draft:
                        yield DraftEvent(text)
                case Finished(usage):
                    progress.usage = usage
                case Sentence():
                    yield await self._checked(piece, progress)

    async def _checked(self, sentence: Sentence, progress: _Progress) -> SentenceEvent | DroppedEvent:
        start = progress.length
        marker = 1 + sum(len(one.citations) for one in progress.sentences)
        checked = await asyncio.to_thread(self._checker.check, sentence, answer_start=start, first_marker=marker)
        if isinstance(checked, str):
            progress.dropped.append(sentence.text)
            return DroppedEvent(sentence.text, checked)
        progress.sentences.append(checked)
        return SentenceEvent(start, checked.text, checked.citations)

    def _compose(
        self,
        question: Question,
        generation: Generation,
        fingerprint: str,
        decision: Decision,
        ranking: Ranking,
        assessment: Assessment,
        progress: _Progress,
        reason: RefusalReason | None,
    ) -> Answer:
        refusal = None
        if reason is not None:
            refusal = Refusal(reason, _MESSAGES[reason], decision.threshold, ranking.hits[:_NEAREST])
        progress.lap("total", progress.begun)
        proposed = len(progress.sentences) + len(progress.dropped)
        return Answer(
            answer_id=new_id("ans"),
            question=question.text,
            question_used=question.text,
            status="refused" if refusal else ("partial" if progress.dropped else "answered"),
            text=None if refusal else " ".join(sentence.text for sentence in progress.sentences),
            spans=() if refusal else _spans(progress.sentences),
            confidence=round(assessment.confidence, 4),
            risk=None if refusal else decision.risk,
            citations=() if refusal else _citations(progress.sentences),
            evidence_rate=None if refusal else len(progress.sentences) / proposed,
            conflicts=(),
            refusal=refusal,
            conversation_id=question.conversation_id,
            generation=generation.generation,
            fingerprint=fingerprint,
            generator=self._generator.info,
            usage=progress.usage,
            timings_ms=progress.timings_ms,
            created_at=now(),
        )

    def _trace(
        self,
        question: Question,
        generation: Generation,
        decision: Decision,
        ranking: Ranking,
        assessment: Assessment,
        progress: _Progress,
    ) -> dict[str, Any]:
        return {
            "question": as_json(question),
            "generation": {"generation": generation.generation, **as_json(generation.spec)},
            "snapshot_seq": ranking.snapshot_seq,
            "candidates": [as_json(hit) for hit in ranking.hits],
            "vector_used": ranking.vector_used,
            "decision": {
                "threshold": decision.threshold,
                "confidence": assessment.confidence,
                "features": dict(assessment.features),
            },
            "models": {
                "embedder": generation.spec.embedder,
                "reranker": ranking.reranker,
                "generator": as_json(self._generator.info),
            },
            "prompt": None,
            "seeds": [],
            "dropped": progress.dropped,
            "settings": {**self._retrieve_settings_json(), **self._settings_json()},
            "timings_ms": dict(progress.timings_ms),
        }

    def _retrieve_settings_json(self) -> dict[str, Any]:
        return {name: getattr(self._retrieve_settings, name) for name in RetrieveSettings.model_fields}

    def _settings_json(self) -> dict[str, Any]:
        return {name: getattr(self._settings, name) for name in GenerateSettings.model_fields}


def _refusal_before(ranking: Ranking, assessment: Assessment, decision: Decision) -> RefusalReason | None:
    """The policy's first decision: is this turn's evidence good enough to answer from?"""
    if not ranking.hits or not assessment.sentences:
        return "no_evidence"
    return "low_confidence" if assessment.confidence < decision.threshold else None


def _spans(sentences: Sequence[CheckedSentence]) -> tuple[AnswerSpan, ...]:
    return tuple(span for sentence in sentences for span in sentence.spans)


def _citations(sentences: Sequence[CheckedSentence]) -> tuple[Citation, ...]:
    return tuple(citation for sentence in sentences for citation in sentence.citations)
