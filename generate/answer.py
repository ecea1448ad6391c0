"""The nouns of answering: what is asked, what is answered or refused, and the events on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ingest.credibility import Credibility
from retrieve import Hit

Status = Literal["answered", "partial", "refused"]
RefusalReason = Literal["no_evidence", "low_confidence", "conflicting_evidence", "unsupported_answer"]


@dataclass(frozen=True, slots=True)
class Question:
    """A request to answer. `max_risk` asks for a certified bound on the share of wrong answers.

    `history` are the questions before this one, oldest first, where the caller keeps the conversation; with a
    `conversation_id` the stored turns count instead.
    """

    text: str
    top_k: int = 8
    filter: Mapping[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    history: tuple[str, ...] = ()
    template: str | None = None
    max_risk: float | None = None
    draft: bool = False
    cache: bool = True


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """Half-open code-point range of the answer text that is the short answer."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Citation:
    """Evidence for `answer[answer_start:answer_end]`.

    `quote` equals `text[char_start:char_end]` of the named version, byte for byte. `support` in [0, 1] says how well
    the quote supports the cited part of the answer.
    """

    marker: str
    answer_start: int
    answer_end: int
    document_id: str
    document_pk: int
    version: int
    title: str | None
    page: int | None
    heading: str | None
    char_start: int
    char_end: int
    quote: str
    support: float
    credibility: Credibility


@dataclass(frozen=True, slots=True)
class Conflict:
    """A passage that contradicts the answer, or one side of a contradiction that nothing settles.

    `quote` equals `text[char_start:char_end]` of the named version. `outranked_by` says why the other side was
    believed; None where neither was.
    """

    document_id: str
    version: int
    quote: str
    title: str | None = None
    char_start: int = 0
    char_end: int = 0
    document_date: str | None = None
    credibility: float | None = None
    outranked_by: Literal["authority", "date"] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer, and the passages that came nearest."""

    reason: RefusalReason
    message: str
    threshold: float
    nearest: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Risk:
    """Certified bound on the share of wrong answers among those given (see EVALUATION: Learn then Test)."""

    bound: float
    confidence: float
    certificate_id: str


@dataclass(frozen=True, slots=True)
class GeneratorInfo:
    """Which generator wrote the answer; `model` and `prompt` are None where it has none."""

    name: str
    model: str | None
    prompt: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the language model; zero for generators without one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer or refusal. `text` is None exactly when refused.

    `confidence` in [0, 1] estimates the probability that the answer is right. `evidence_rate` is the share of the
    proposed sentences that their citations support; None when refused.
    """

    answer_id: str
    question: str
    question_used: str
    status: Status
    text: str | None
    spans: tuple[AnswerSpan, ...]
    confidence: float
    risk: Risk | None
    citations: tuple[Citation, ...]
    evidence_rate: float | None
    conflicts: tuple[Conflict, ...]
    refusal: Refusal | None
    conversation_id: str | None
    generation: str
    fingerprint: str
    generator: GeneratorInfo
    usage: Usage
    timings_ms: Mapping[str, float]
    created_at: str


@dataclass(frozen=True, slots=True)
class RetrievalEvent:
    """Evidence was found (or not): the hits in rank order."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class DraftEvent:
    """Unchecked text, only on request."""

    text: str


@dataclass(frozen=True, slots=True)
class SentenceEvent:
    """A checked sentence with its place in the answer and its citations."""

    start: int
    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class DroppedEvent:
    """A sentence that no citation supports; it is not part of the answer."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The last event: the whole answer."""

    answer: Answer


AnswerEvent = RetrievalEvent | DraftEvent | SentenceEvent | DroppedEvent | DoneEvent
