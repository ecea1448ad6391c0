"""From what was computed to what is answered: the outcome of one computation, the answer composed of it, its trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from generate.answer import (
    Answer,
    AnswerSpan,
    Citation,
    Conflict,
    GeneratorInfo,
    Question,
    Refusal,
    RefusalReason,
    Usage,
)
from generate.answers import as_json
from generate.assessment import Assessment, Quote
from generate.citations import CheckedSentence
from generate.generators import Sentence
from generate.policy import Decision
from generate.redaction import MASK
from ingest.clock import now
from ingest.documents import new_id
from ingest.generations import Generation
from retrieve import Hit, Ranking

_NEAREST = 3
_MESSAGES: Mapping[RefusalReason, str] = {
    "no_evidence": "No passage of the collection matches the question.",
    "low_confidence": "The passages found do not answer the question with enough confidence.",
    "conflicting_evidence": "The passages found contradict each other, and nothing decides between them.",
    "unsupported_answer": "No sentence of the drafted answer is supported by the passages found.",
}
_DECLINED = "The language model found no answer in the passages."


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that one computation found; equal inputs give equal outcomes with a deterministic generator.

    `proposed` are the generator's sentences as it wrote them, `sentences` those that stand, `dropped` the others.
    `parts` were searched for beside the question.
    `record` is what the generator wants remembered (its prompt, its raw output, its seed).
    """

    ranking: Ranking
    assessment: Assessment
    decision: Decision
    reason: RefusalReason | None
    conflicts: tuple[Conflict, ...] = ()
    proposed: tuple[Sentence, ...] = ()
    sentences: tuple[CheckedSentence, ...] = ()
    dropped: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    record: Mapping[str, Any] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    parts: tuple[str, ...] = ()


def compose(
    outcome: Outcome,
    question: Question,
    *,
    question_used: str,
    generation: Generation,
    fingerprint: str,
    generator: GeneratorInfo,
    timings_ms: Mapping[str, float],
    answer_id: str | None = None,
) -> Answer:
    """The answer or refusal that an outcome amounts to, under a fresh id unless one is given."""
    refusal = None
    if outcome.reason is not None:
        message = _DECLINED if outcome.record.get("declined") else _MESSAGES[outcome.reason]
        refusal = Refusal(outcome.reason, message, outcome.decision.threshold, outcome.ranking.hits[:_NEAREST])
    proposed = len(outcome.sentences) + len(outcome.dropped)
    return Answer(
        answer_id=answer_id or new_id("ans"),
        question=question.text,
        question_used=question_used,
        status="refused" if refusal else ("partial" if outcome.dropped else "answered"),
        text=None if refusal else " ".join(sentence.text for sentence in outcome.sentences),
        spans=() if refusal else _spans(outcome.sentences),
        confidence=round(outcome.assessment.confidence, 4),
        risk=None if refusal else outcome.decision.risk,
        citations=() if refusal else _citations(outcome.sentences),
        evidence_rate=None if refusal else len(outcome.sentences) / proposed,
        conflicts=outcome.conflicts,
        refusal=refusal,
        conversation_id=question.conversation_id,
        generation=generation.generation,
        fingerprint=fingerprint,
        generator=generator,
        usage=outcome.usage,
        timings_ms=timings_ms,
        created_at=now(),
    )


def trace_of(
    outcome: Outcome,
    question: Question,
    *,
    question_used: str,
    generation: Generation,
    generator: GeneratorInfo,
    access_tags: Sequence[str] | None,
    settings: Mapping[str, Any],
    cached: bool,
    timings_ms: Mapping[str, float],
) -> dict[str, Any]:
    """All that `answer` came from, as JSON values: enough to explain it, and to replay it from any stage."""
    ranking = outcome.ranking
    return {
        "question": as_json(question),
        "question_used": question_used,
        "parts": list(outcome.parts),
        "access": access_tags,
        "generation": {"generation": generation.generation, **as_json(generation.spec)},
        "snapshot_seq": ranking.snapshot_seq,
        "candidates": [as_json(hit) for hit in ranking.hits],
        "vector_used": ranking.vector_used,
        "decision": {
            "threshold": outcome.decision.threshold,
            "confidence": outcome.assessment.confidence,
            "reason": outcome.reason,
            "features": dict(outcome.assessment.features),
        },
        "models": {
            "embedder": generation.spec.embedder,
            "reranker": ranking.reranker,
            "generator": as_json(generator),
        },
        "prompt": outcome.record.get("prompt"),
        "seeds": outcome.record.get("seeds", []),
        "generator_record": {k: v for k, v in outcome.record.items() if k not in ("prompt", "seeds")},
        "proposed": [_sentence_json(sentence) for sentence in outcome.proposed],
        "dropped": list(outcome.dropped),
        "cached": cached,
        "settings": dict(settings),
        "timings_ms": dict(timings_ms),
    }


def proposed_sentences(trace: Mapping[str, Any], hits: Sequence[Hit]) -> tuple[Sentence, ...]:
    """The generator's sentences as a trace holds them, on the hits that it names by rank."""
    by_rank = {hit.rank: hit for hit in hits}
    found = []
    for one in trace["proposed"]:
        quotes = tuple(Quote(by_rank[rank], start, end) for rank, start, end in one["quotes"])
        found.append(
            Sentence(
                _unmasked(one["text"], quotes),
                quotes,
                tuple(AnswerSpan(*span) for span in one["spans"]),
                tuple(by_rank[rank] for rank in one["passages"]),
                one["fault"],
            )
        )
    return tuple(found)


def _unmasked(text: str, quotes: Sequence[Quote]) -> str:
    """A verbatim sentence that was masked in the trace, as its quote has it."""
    if MASK in text and len(quotes) == 1 and len(quotes[0].text) == len(text):
        return quotes[0].text
    return text


def _sentence_json(sentence: Sentence) -> dict[str, Any]:
    return {
        "text": sentence.text,
        "quotes": [[quote.hit.rank, quote.start, quote.end] for quote in sentence.quotes],
        "spans": [[span.start, span.end] for span in sentence.spans],
        "passages": [hit.rank for hit in sentence.passages],
        "fault": sentence.fault,
    }


def _spans(sentences: Sequence[CheckedSentence]) -> tuple[AnswerSpan, ...]:
    return tuple(span for sentence in sentences for span in sentence.spans)


def _citations(sentences: Sequence[CheckedSentence]) -> tuple[Citation, ...]:
    return tuple(citation for sentence in sentences for citation in sentence.citations)
