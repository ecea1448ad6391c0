"""Giving a stored answer again: from its question, from the candidates that were found, or from what was generated.

Documents that were replaced since are still there for a time, in the versions that the trace names; what was deleted
is gone, and the answer with it. A replayed answer is compared, not stored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from pydantic import TypeAdapter

from generate.answer import Answer, Citation, Question
from generate.answerer import Answerer
from generate.answers import StoredAnswer
from generate.assessment import Assessment
from generate.composition import Outcome, proposed_sentences
from generate.pipeline import ComputationEvent, Task
from generate.policy import Decision
from generate.redaction import MASK, Redaction
from ingest.catalogue import Catalogue
from ingest.collections import load_collection_by_key
from ingest.documents import load_version_text
from ingest.errors import Conflict
from ingest.generations import Generation, list_generations
from retrieve import Access, Hit, Ranking

Stage = Literal["question", "candidates", "generation"]
SCORE_TOLERANCE = 0.02
_HITS = TypeAdapter(tuple[Hit, ...])
_QUESTION = TypeAdapter(Question)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that came out otherwise. `counted` is false for scores within 0.02, and for what explains the rest."""

    field: str
    before: Any
    after: Any
    counted: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """The answer as it comes out now; `same` when no counted difference is left."""

    answer: Answer
    same: bool
    differences: tuple[Difference, ...]


class Replayer:
    """Replays stored answers on the answer path itself, entered at a later stage."""

    def __init__(self, catalogue: Catalogue, answerer: Answerer, redaction: Redaction) -> None:
        self._catalogue = catalogue
        self._answerer = answerer
        self._redaction = redaction

    async def replay(self, stored: StoredAnswer, start: Stage, *, access: Access) -> Replay:
        """The answer again, from `start`, with what `access` may see now.

        Raises `Gone` (`evidence_deleted`) when a document it rests on was deleted, `Conflict` (`generation_retired`)
        when its index generation is no longer there or (`question_masked`) its question was not kept as it was, and
        what the stages raise. A question is not taken apart anew: the parts are those of the trace.
        """
        asked = (stored.answer.question_used, *stored.trace.get("parts", ()))
        if start != "generation" and any(MASK in text for text in asked):
            raise Conflict(
                "the stored question is masked by a redaction pattern; replay it from its generation",
                code="question_masked",
            )
        begun = time.perf_counter()
        task = await asyncio.to_thread(self._task, stored, access)
        if start == "question":
            outcome = await _drain(self._answerer.compute(task))
        else:
            ranking = await asyncio.to_thread(self._ranking, stored)
            if start == "candidates":
                decision = Decision(stored.trace["decision"]["threshold"], stored.answer.risk)
                outcome = await _drain(self._answerer.pipeline.compute_from(task, ranking, decision))
            else:
                outcome = await self._checked_again(stored, ranking)
        timings = {**outcome.timings_ms, "total": round((time.perf_counter() - begun) * 1000, 3)}
        answer = self._answerer.compose(task, outcome, timings, stored.answer.answer_id)
        differences = (
            *compare(stored.answer, self._redaction.answer(answer), stored.trace, outcome),
            *self._causes(stored.trace, outcome),
        )
        return Replay(answer, not any(one.counted for one in differences), differences)

    def replay_apart(self, stored: StoredAnswer, start: Stage, *, access: Access) -> Replay:
        """As `replay`, for a thread without an event loop."""
        return self._answerer.run(self.replay(stored, start, access=access))

    def _causes(self, trace: Mapping[str, Any], outcome: Outcome) -> list[Difference]:
        """What an answer depends on and comes out otherwise: none of it counts, all of it explains what does."""
        seen = {hit.document_id: round(hit.credibility.score, 4) for hit in outcome.ranking.hits}
        found = _HITS.validate_python(trace["candidates"])
        then = {hit.document_id: round(hit.credibility.score, 4) for hit in found}
        moved = sorted(name for name in seen.keys() & then.keys() if seen[name] != then[name])
        record = self._redaction.json(dict(outcome.record))
        return [
            *_differs("credibility", {n: then[n] for n in moved}, {n: seen[n] for n in moved}, counted=False),
            *_differs("prompt", trace["prompt"], record.get("prompt", trace["prompt"]), counted=False),
            *_differs("output", trace["generator_record"].get("output"), record.get("output"), counted=False),
        ]

    def _task(self, stored: StoredAnswer, access: Access) -> Task:
        question = _QUESTION.validate_python(stored.trace["question"])
        asked_with = stored.trace.get("access")
        if access.tags is None and asked_with is not None:
            access = Access(frozenset(asked_with))  # an overseer replays what was seen, not what could be
        with self._catalogue.read() as connection:
            collection = load_collection_by_key(connection, stored.collection_pk)
            generations = list_generations(connection, collection.name)
        generation = _named(generations, stored.answer.generation)
        parts = tuple(stored.trace.get("parts", ()))
        return Task(question, stored.answer.question_used, collection, generation, access, parts)

    def candidates(self, stored: StoredAnswer) -> tuple[Hit, ...]:
        """The candidates of the trace, best first, with their text from the versions they name.

        Raises `Gone` (`evidence_deleted`) when a document of theirs was deleted.
        """
        hits = _HITS.validate_python(stored.trace["candidates"])
        with self._catalogue.read() as connection:
            texts = {key: load_version_text(connection, key).text for key in {hit.version_pk for hit in hits}}
        return tuple(replace(hit, text=texts[hit.version_pk][hit.char_start : hit.char_end]) for hit in hits)

    def _ranking(self, stored: StoredAnswer) -> Ranking:
        trace, hits = stored.trace, self.candidates(stored)
        return Ranking(
            hits, stored.answer.generation, trace["snapshot_seq"], trace["models"]["reranker"], trace["vector_used"], {}
        )

    async def _checked_again(self, stored: StoredAnswer, ranking: Ranking) -> Outcome:
        decided = stored.trace["decision"]
        proposed = proposed_sentences(stored.trace, ranking.hits)
        sentences, dropped = await self._answerer.pipeline.check_again(proposed)
        reason = decided["reason"]
        if reason in (None, "unsupported_answer"):
            reason = None if sentences else "unsupported_answer"
        return Outcome(
            ranking,
            Assessment((), decided["confidence"], decided["features"]),
            Decision(decided["threshold"], stored.answer.risk),
            reason,
            stored.answer.conflicts,
            proposed,
            tuple(sentences),
            tuple(dropped),
            stored.answer.usage,
            stored.trace["generator_record"],
        )


def compare(before: Answer, after: Answer, trace: Mapping[str, Any], outcome: Outcome) -> list[Difference]:
    """Where two answers differ: status, text, reason and citations count; scores beyond 0.02 do; the rest explains."""
    reasons = [answer.refusal.reason if answer.refusal else None for answer in (before, after)]
    found = [
        *_differs("status", before.status, after.status, counted=True),
        *_differs("answer", before.text, after.text, counted=True),
        *_differs("refusal.reason", *reasons, counted=True),
        *_differs("answer_spans", _spans(before), _spans(after), counted=True),
    ]
    if len(before.citations) != len(after.citations):
        found += _differs("citations", len(before.citations), len(after.citations), counted=True)
    for number, (one, other) in enumerate(zip(before.citations, after.citations, strict=False)):
        found += _citation_differences(f"citations[{number}]", one, other)
    found += _score("confidence", before.confidence, after.confidence)
    candidates = [[hit["document_id"], hit["version"], hit["char_start"]] for hit in trace["candidates"]]
    seen = [[hit.document_id, hit.version, hit.char_start] for hit in outcome.ranking.hits]
    found += _differs("candidates", candidates, seen, counted=False)
    found += _differs("threshold", trace["decision"]["threshold"], outcome.decision.threshold, counted=False)
    found += _differs("pipeline_fingerprint", before.fingerprint, after.fingerprint, counted=False)
    found += _differs("snapshot_seq", trace["snapshot_seq"], outcome.ranking.snapshot_seq, counted=False)
    return found


def _citation_differences(name: str, before: Citation, after: Citation) -> list[Difference]:
    found = []
    for part in ("marker", "answer_start", "answer_end", "document_id", "version", "char_start", "char_end", "quote"):
        found += _differs(f"{name}.{part}", getattr(before, part), getattr(after, part), counted=True)
    found += _score(f"{name}.support", before.support, after.support)
    credibility = (round(before.credibility.score, 4), round(after.credibility.score, 4))
    return [*found, *_differs(f"{name}.credibility", *credibility, counted=False)]


def _score(name: str, before: float, after: float) -> list[Difference]:
    return _differs(name, before, after, counted=abs(before - after) > SCORE_TOLERANCE)


def _differs(name: str, before: Any, after: Any, *, counted: bool) -> list[Difference]:
    return [] if before == after else [Difference(name, before, after, counted)]


def _spans(answer: Answer) -> list[list[int]]:
    return [[span.start, span.end] for span in answer.spans]


def _named(generations: Sequence[Generation], name: str) -> Generation:
    for generation in generations:
        if generation.generation == name:
            return generation
    raise Conflict(
        f"the index generation {name!r} of this answer is no longer there; ask the question anew",
        code="generation_retired",
    )


async def _drain(events: Any) -> Outcome:
    async with aclosing(cast(AsyncGenerator[ComputationEvent, None], events)):
        async for event in events:
            if isinstance(event, Outcome):
                return event
    raise AssertionError("a computation ends with its outcome or an error")
