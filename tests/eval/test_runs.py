"""Runs over question sets, on a whole service with a fake embedder."""

from __future__ import annotations

import asyncio
import json

import pytest
from sqlalchemy import func, select

from api.bootstrap import Service
from eval.question_sets import parse_question_set
from eval.runs import EvaluationRow, run_question_set, store_run, summarise
from eval.schema import evaluation_rows
from tests.ingestion import ingest_texts

QUESTIONS = [
    {"id": "q1", "question": "When was the lighthouse built?", "answers": ["1871"], "answerable": True,
     "gold_evidence": [[{"document_id": "lighthouse.txt", "quote": "built in 1871"}]],
     "paraphrases": ["lighthouse built when"]},
    {"id": "q2", "question": "What does a zebra weigh?", "answerable": False},
]  # fmt: skip


@pytest.fixture
def rows(service: Service) -> list[EvaluationRow]:
    """Two questions, one with a paraphrase, asked twice each."""
    ingest_texts(service, {"lighthouse.txt": "The lighthouse of Tolm was built in 1871. It is red and white."})
    questions = parse_question_set([json.dumps(question) for question in QUESTIONS])
    collection = service.collections.get("default")
    return asyncio.run(run_question_set(questions, answerer=service.answerer, collection=collection, repeats=2))


def test_every_question_phrasing_and_replicate_is_a_row(rows: list[EvaluationRow]) -> None:
    """Nothing is dropped: (2 phrasings + 1) x 2 replicates."""
    assert [(row.question_id, row.phrasing, row.replicate) for row in rows] == [
        ("q1", 0, 0), ("q1", 0, 1), ("q1", 1, 0), ("q1", 1, 1), ("q2", 0, 0), ("q2", 0, 1),
    ]  # fmt: skip


def test_rows_say_what_was_retrieved_and_whether_it_was_right(rows: list[EvaluationRow]) -> None:
    """The gold passage is found; an unanswerable question has no coverage."""
    assert {row.retrieval_coverage for row in rows if row.question_id == "q1"} == {1.0}
    assert {row.retrieval_coverage for row in rows if row.question_id == "q2"} == {None}
    for row in rows:
        assert (
            row.correct == (row.decision == "answer") if row.answerable else row.correct == (row.decision == "refuse")
        )


def test_a_run_is_stored_with_all_its_rows(service: Service, rows: list[EvaluationRow]) -> None:
    """One transaction, one row an ask."""
    questions = parse_question_set([json.dumps(question) for question in QUESTIONS])
    collection = service.collections.get("default")
    store_run(
        service.catalogue,
        rows,
        summarise(rows),
        questions=questions,
        collection=collection,
        fingerprint="f",
        repeats=2,
        key_id=None,
    )
    with service.catalogue.read() as connection:
        assert connection.execute(select(func.count()).select_from(evaluation_rows)).scalar_one() == 6


def test_an_error_is_an_outcome_that_counts_as_failure() -> None:
    """Half of the asks failed: error rate 0.5, correctness 0.5."""
    good = EvaluationRow("q", 0, 0, "?", False, None, "refuse", True, None, None, 0.1, "refused", None, "a", None, 1.0)
    bad = EvaluationRow(
        "q", 1, 0, "?", False, None, "error", False, None, None, None, None, None, None, "overloaded", None
    )
    summary = summarise([good, bad])
    assert (summary["error_rate"], summary["correctness"], summary["false_answer_rate"]) == (0.5, 0.5, 0.0)
    assert summary["retrieval_coverage"] is None


def test_no_rows_summarise_to_nothing() -> None:
    """Never NaN."""
    assert summarise([]) == {"asks": 0}
