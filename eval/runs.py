"""A run over a question set: every question and paraphrase asked K times on the path that the API uses, one row an ask.

An error is an outcome of its own; no row is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection, insert

from eval.measures import is_correct_answer, recall_at
from eval.question_sets import EvaluationQuestion, GoldEvidence, QuestionSet
from eval.schema import evaluation_rows, evaluations
from generate.answer import Answer, Question, RetrievalEvent
from generate.answer import DoneEvent as Done
from generate.answerer import Answerer
from ingest.catalogue import Catalogue
from ingest.clock import now
from ingest.collections import Collection
from ingest.documents import new_id
from ingest.errors import CitewellError
from retrieve import Access, Hit

_CONCURRENT_ASKS = 2


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One ask. `phrasing` is 0 for the question itself, then its paraphrases; measures are None where unscored.

    `decision` is `answer`, `refuse` or `error`; `correct` follows docs/evaluation.md; `retrieval_coverage` is the
    share of gold evidence groups among the retrieved passages; `evidence_rate` the share of supported sentences.
    """

    question_id: str
    replicate: int
    phrasing: int
    question: str
    answerable: bool
    language: str | None
    decision: str
    correct: bool | None
    retrieval_coverage: float | None
    evidence_rate: float | None
    confidence: float | None
    status: str | None
    answer: str | None
    answer_id: str | None
    error_code: str | None
    total_ms: float | None


async def run_question_set(
    questions: QuestionSet,
    *,
    answerer: Answerer,
    collection: Collection,
    repeats: int,
    on_row: Callable[[EvaluationRow], None] = lambda row: None,
) -> list[EvaluationRow]:
    """Asks everything, two at a time, and returns the rows in order of question, phrasing and replicate."""
    slots = asyncio.Semaphore(_CONCURRENT_ASKS)

    async def ask(question: EvaluationQuestion, phrasing: int, text: str, replicate: int) -> EvaluationRow:
        async with slots:
            row = await _ask(question, phrasing, text, replicate, answerer, collection)
        on_row(row)
        return row

    return await asyncio.gather(*(ask(*one) for one in _asks(questions, repeats)))


def number_of_asks(questions: QuestionSet, repeats: int) -> int:
    """How many rows a run will have."""
    return sum(1 for _ in _asks(questions, repeats))


def summarise(rows: Sequence[EvaluationRow]) -> dict[str, float | int | None]:
    """Rates over all rows, each in [0, 1] or None where nothing is scored; an error counts as a failure.

    `answer_rate` over all; `correctness` over scored rows (unanswerable: refused); `correct_among_answered` over
    answered ones; `false_answer_rate` over unanswerable, `over_refusal_rate` over answerable; `retrieval_coverage`
    over rows with gold.
    """
    frame = pd.DataFrame([asdict(row) for row in rows])
    if frame.empty:
        return {"asks": 0}
    answered, answerable = frame["decision"] == "answer", frame["answerable"]
    return {
        "asks": len(frame),
        "error_rate": _mean(frame["decision"] == "error"),
        "answer_rate": _mean(answered),
        "correctness": _mean(frame["correct"]),
        "correct_among_answered": _mean(frame.loc[answered, "correct"]),
        "false_answer_rate": _mean(answered[~answerable]),
        "over_refusal_rate": _mean((frame["decision"] == "refuse")[answerable]),
        "retrieval_coverage": _mean(frame["retrieval_coverage"]),
        "evidence_rate": _mean(frame["evidence_rate"]),
    }


def store_run(
    catalogue: Catalogue,
    rows: Sequence[EvaluationRow],
    metrics: Mapping[str, Any],
    *,
    questions: QuestionSet,
    collection: Collection,
    fingerprint: str,
    repeats: int,
    key_id: str | None,
) -> str:
    """Keep a finished run with all its rows in one transaction; returns its `evaluation_id`."""
    evaluation_id = new_id("eval")

    def change(connection: Connection) -> None:
        key = connection.execute(
            insert(evaluations).values(
                evaluation_id=evaluation_id,
                collection_pk=collection.pk,
                key_id=key_id,
                question_set_sha256=questions.sha256,
                fingerprint=fingerprint,
                repeats=repeats,
                state="succeeded",
                metrics=dict(metrics),
                created_at=now(),
            )
        ).inserted_primary_key
        assert key is not None
        if rows:
            connection.execute(
                insert(evaluation_rows),
                [
                    {
                        "evaluation_pk": key[0],
                        "question_id": row.question_id,
                        "replicate": row.replicate,
                        "phrasing": row.phrasing,
                        "row": asdict(row),
                    }
                    for row in rows
                ],
            )

    catalogue.write(change)
    return evaluation_id


def _asks(questions: QuestionSet, repeats: int) -> Iterator[tuple[EvaluationQuestion, int, str, int]]:
    for question in questions.questions:
        for phrasing, text in enumerate((question.question, *question.paraphrases)):
            for replicate in range(repeats):
                yield question, phrasing, text, replicate


async def _ask(
    question: EvaluationQuestion,
    phrasing: int,
    text: str,
    replicate: int,
    answerer: Answerer,
    collection: Collection,
) -> EvaluationRow:
    hits: tuple[Hit, ...] = ()
    answer: Answer | None = None
    error: str | None = None
    try:
        async for event in answerer.stream(
            Question(text, filter=question.filter, cache=False),
            collection=collection,
            generation=collection.live_generation,
            access=Access.everything(),
            key_id=None,
        ):
            match event:
                case RetrievalEvent(found):
                    hits = found
                case Done(finished):
                    answer = finished
    except CitewellError as failure:
        error = failure.code
    return EvaluationRow(
        question_id=question.id,
        replicate=replicate,
        phrasing=phrasing,
        question=text,
        answerable=question.answerable,
        language=question.language,
        decision=_decision(answer),
        correct=_correct(question, answer),
        retrieval_coverage=_coverage(question, hits),
        evidence_rate=answer.evidence_rate if answer else None,
        confidence=answer.confidence if answer else None,
        status=answer.status if answer else None,
        answer=answer.text if answer else None,
        answer_id=answer.answer_id if answer else None,
        error_code=error,
        total_ms=answer.timings_ms.get("total") if answer else None,
    )


def _decision(answer: Answer | None) -> str:
    if answer is None:
        return "error"
    return "refuse" if answer.status == "refused" else "answer"


def _correct(question: EvaluationQuestion, answer: Answer | None) -> bool | None:
    """The decision is right and, when answering, a gold answer is contained; None where there is no gold answer to
    compare.
    """
    if answer is None:
        return False
    if not question.answerable:
        return answer.status == "refused"
    if answer.text is None:
        return False
    return is_correct_answer(answer.text, question.answers) if question.answers else None


def _coverage(question: EvaluationQuestion, hits: Sequence[Hit]) -> float | None:
    """Share of the gold evidence groups that a retrieved passage hits; None without gold."""
    groups = [
        frozenset(hit.chunk_id for hit in hits if any(_hits(hit, gold) for gold in group))
        for group in question.evidence_groups
    ]
    return recall_at([hit.chunk_id for hit in hits], groups, len(hits))


def _hits(hit: Hit, gold: GoldEvidence) -> bool:
    """The passage is of the gold document and overlaps the gold span, or holds the gold quote."""
    if hit.document_id != gold.document_id:
        return False
    if gold.char_start is not None and gold.char_end is not None:
        return hit.char_start < gold.char_end and gold.char_start < hit.char_end
    return gold.quote is None or gold.quote in hit.text


def _mean(values: pd.Series[Any]) -> float | None:
    scored = values.dropna()
    return float(scored.astype(float).mean()) if len(scored) else None
