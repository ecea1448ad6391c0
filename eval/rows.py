"""One ask of an evaluation, and how it is scored. An error is an outcome of its own, counted as a failure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from eval.measures import exact_match, is_correct_answer, quote_stands, recall_at, reciprocal_rank, token_f1
from eval.question_sets import EvaluationQuestion, GoldEvidence
from generate.answer import Answer, Citation, SentenceEvent
from retrieve import Hit


@dataclass(frozen=True, slots=True)
class CitedQuote:
    """A citation of an answer, enough to show and to check it."""

    document_id: str
    version: int
    char_start: int
    char_end: int
    quote: str
    support: float


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One ask. `phrasing` is 0 for the question itself, then its paraphrases; measures are None where unscored.

    `decision` is `answer`, `refuse` or `error`. `correct` follows docs/evaluation.md; `evidence_found`: every gold
    evidence group is among the retrieved passages (`retrieval_coverage` is the share); `evidence_whole`: answered, and
    every claim is supported; `success`: the right decision and, when answering, correct and wholly supported.
    `retrieved` names passages as `document_id@start-end#crc32 of the text`, best first; `process` names the start of
    the service.
    """

    question_id: str
    replicate: int
    phrasing: int
    question: str
    answerable: bool
    cluster: str
    language: str | None
    tags: tuple[str, ...]
    decision: str
    status: str | None
    reason: str | None
    success: bool | None
    correct: bool | None
    retrieval_coverage: float | None
    evidence_found: bool | None
    reciprocal_rank: float | None
    claims: int | None
    supported: int | None
    evidence_whole: bool | None
    exact_match: float | None
    token_f1: float | None
    confidence: float | None
    threshold: float | None
    answer: str | None
    short_answer: str | None
    answer_id: str | None
    retrieved: tuple[str, ...]
    top_score: float | None
    citations: tuple[CitedQuote, ...]
    error_code: str | None
    total_ms: float | None
    process: str
    asked_at: str

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes the row unique within its evaluation."""
        return self.question_id, self.phrasing, self.replicate

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> EvaluationRow:
        """The row as `as_json` wrote it."""
        known = {field.name: body[field.name] for field in fields(cls)}
        known["tags"], known["retrieved"] = tuple(known["tags"]), tuple(known["retrieved"])
        known["citations"] = tuple(CitedQuote(**one) for one in known["citations"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the answer path gave for one ask; `answer` is None where it failed with `error_code`."""

    hits: tuple[Hit, ...] = ()
    sentences: tuple[SentenceEvent, ...] = ()
    answer: Answer | None = None
    threshold: float | None = None
    error_code: str | None = None


def score(
    question: EvaluationQuestion,
    seen: Observation,
    *,
    phrasing: int,
    text: str,
    replicate: int,
    process: str,
    asked_at: str,
) -> EvaluationRow:
    """The row of one ask."""
    answer = seen.answer
    answered = answer is not None and answer.text is not None
    coverage = _coverage(question, seen.hits)
    supported = [_supported(sentence, seen.hits) for sentence in seen.sentences] if answered else []
    whole = bool(supported) and all(supported) if answered else None
    correct = _correct(question, answer)
    return EvaluationRow(
        question_id=question.id,
        replicate=replicate,
        phrasing=phrasing,
        question=text,
        answerable=question.answerable,
        cluster=question.cluster_id,
        language=question.language,
        tags=question.tags,
        decision=_decision(answer),
        status=answer.status if answer else None,
        reason=answer.refusal.reason if answer and answer.refusal else None,
        success=None if correct is None else bool(correct and whole is not False),
        correct=correct,
        retrieval_coverage=coverage,
        evidence_found=None if coverage is None else coverage == 1.0,
        reciprocal_rank=_first_gold(question, seen.hits),
        claims=max(len(supported), 1) if answered else None,
        supported=sum(supported) if answered else None,
        evidence_whole=whole,
        exact_match=_best(exact_match, question, answer),
        token_f1=_best(token_f1, question, answer),
        confidence=answer.confidence if answer else None,
        threshold=answer.refusal.threshold if answer and answer.refusal else seen.threshold,
        answer=answer.text if answer else None,
        short_answer=_short(answer),
        answer_id=answer.answer_id if answer else None,
        retrieved=tuple(_named(hit) for hit in seen.hits),
        top_score=seen.hits[0].score if seen.hits else None,
        citations=tuple(_quote(citation) for citation in answer.citations) if answer else (),
        error_code=seen.error_code,
        total_ms=answer.timings_ms.get("total") if answer else None,
        process=process,
        asked_at=asked_at,
    )


def _decision(answer: Answer | None) -> str:
    if answer is None:
        return "error"
    return "refuse" if answer.status == "refused" else "answer"


def _correct(question: EvaluationQuestion, answer: Answer | None) -> bool | None:
    """The decision is right and, when answering, a gold answer is contained; None where no gold answer is known."""
    if answer is None:
        return False
    if not question.answerable:
        return answer.status == "refused"
    if answer.text is None:
        return False
    return is_correct_answer(answer.text, question.answers) if question.answers else None


def _short(answer: Answer | None) -> str | None:
    """The marked short answers, joined; the whole text where nothing is marked."""
    if answer is None or answer.text is None:
        return None
    return " | ".join(answer.text[span.start : span.end] for span in answer.spans) or answer.text


def _best(measure: Any, question: EvaluationQuestion, answer: Answer | None) -> float | None:
    """The measure of the short answer; 0 for a refused or failed answerable question; None without gold."""
    if not question.answers:
        return None
    short = _short(answer)
    return 0.0 if short is None else float(measure(short, question.answers))


def _coverage(question: EvaluationQuestion, hits: Sequence[Hit]) -> float | None:
    """Share of the gold evidence groups that a retrieved passage hits; None without gold."""
    groups = [
        frozenset(hit.chunk_id for hit in hits if any(_hits(hit, gold) for gold in group))
        for group in question.evidence_groups
    ]
    return recall_at([hit.chunk_id for hit in hits], groups, len(hits))


def _first_gold(question: EvaluationQuestion, hits: Sequence[Hit]) -> float | None:
    if not question.evidence_groups:
        return None
    golds = [gold for group in question.evidence_groups for gold in group]
    relevant = frozenset(hit.chunk_id for hit in hits if any(_hits(hit, gold) for gold in golds))
    return reciprocal_rank([hit.chunk_id for hit in hits], relevant, len(hits))


def _hits(hit: Hit, gold: GoldEvidence) -> bool:
    """The passage is of the gold document and overlaps the gold span, or holds the gold quote."""
    if hit.document_id != gold.document_id:
        return False
    if gold.char_start is not None and gold.char_end is not None:
        return hit.char_start < gold.char_end and gold.char_start < hit.char_end
    return gold.quote is None or quote_stands(gold.quote, hit.text)


def _supported(sentence: SentenceEvent, hits: Sequence[Hit]) -> bool:
    """Mechanical evidence: a citation names a retrieved passage, whose text has the quote at the offsets given."""
    return any(_in_evidence(citation, hits) for citation in sentence.citations)


def _in_evidence(citation: Citation, hits: Sequence[Hit]) -> bool:
    return any(
        hit.document_id == citation.document_id and hit.version == citation.version and _slice_stands(citation, hit)
        for hit in hits
    )


def _slice_stands(citation: Citation, hit: Hit) -> bool:
    """The quote is exactly what stands at its offsets, and cuts no word in two."""
    start, end = citation.char_start - hit.char_start, citation.char_end - hit.char_start
    if not 0 <= start < end <= len(hit.text) or hit.text[start:end] != citation.quote:
        return False
    return not (_cuts(hit.text, start) or _cuts(hit.text, end))


def _cuts(text: str, place: int) -> bool:
    """Whether the place is inside a word of a script that puts spaces between words."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    return before.isalnum() and after.isalnum() and max(before, after) < "\u2e80"


def _named(hit: Hit) -> str:
    return f"{hit.document_id}@{hit.char_start}-{hit.char_end}#{zlib.crc32(hit.text.encode()):08x}"


def _quote(citation: Citation) -> CitedQuote:
    return CitedQuote(
        citation.document_id,
        citation.version,
        citation.char_start,
        citation.char_end,
        citation.quote,
        citation.support,
    )
