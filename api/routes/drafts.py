"""Drafts of question sets, for a person to check, and failures as training examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Administrator, Caller
from api.bootstrap import Service
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from eval.drafting import Drafter, JudgeWriter, LeakWall, RuleWriter, Writer, feedback_drafts, judgements
from eval.drafting.failures import training_examples
from eval.evaluations import Evaluation
from eval.question_sets import EvaluationQuestion, QuestionSet, dump_question_set
from eval.rows import EvaluationRow
from ingest.collections import Collection
from ingest.errors import Conflict, Forbidden

router = APIRouter(prefix="/v1/collections/{name}", tags=["evaluation"], route_class=StrictRoute, responses=PROBLEM)

_LINES = "application/x-ndjson"
_RUNS = 200


def _lines(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {_LINES: {"schema": {"type": "string"}}}}}


class DraftRequest(BaseModel):
    """What to draft from: rules over the documents, a language model that reads them, or feedback on answers."""

    model_config = ConfigDict(extra="forbid")

    source: Literal["rules", "model", "feedback"] = "rules"
    count: int = Field(60, ge=1, le=500, description="How many at most.")
    seed: int = Field(1, ge=0, le=2**31, description="Which documents and sentences are drawn.")


@router.post("/drafts", response_class=PlainTextResponse, responses=_lines("One draft a line, as in a question set."))
def post_drafts(name: str, body: DraftRequest, caller: Administrator, service: ServiceDep) -> Response:
    """Draft questions; nothing is stored. `meta.review` is `pending` until a person has looked."""
    collection = service.collections.get(name)
    if body.source == "feedback":
        _check_sees_all(caller, "feedback")
        found = feedback_drafts(judgements(service.catalogue, service.answers, collection))
        drafts = [draft for draft, _ in zip(found, range(body.count), strict=False)]
    else:
        drafter = Drafter(service.catalogue, service.searcher, collection, caller.access)
        drafts = list(drafter.drafts(_writer(service, body.source), count=body.count, seed=body.seed))
    return Response(dump_question_set(QuestionSet(tuple(drafts))), media_type=_LINES)


@router.get("/training_examples", response_class=PlainTextResponse, responses=_lines("One example a line."))
def get_training_examples(name: str, caller: Administrator, service: ServiceDep) -> Response:
    """Failed asks of questions of pool `train`, and feedback with a right answer, as `citewell train` reads them.

    Nothing that resembles a question of any stored set outside that pool.
    """
    _check_sees_all(caller, "training examples")
    collection = service.collections.get(name)
    found = training_examples(
        (row for run in _newest_runs(service, collection) for row in _rows(service, run)),
        judgements(service.catalogue, service.answers, collection),
        LeakWall(_every_question(service)),
        lambda answer_id: service.replayer.candidates(service.answers.get(answer_id)),
    )
    return Response("".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found), media_type=_LINES)


def _writer(service: Service, source: str) -> Writer:
    if source == "rules":
        return RuleWriter()
    judge = service.evaluation.second_opinions.judge
    if judge is None:
        raise Conflict(
            "no language model is there to write questions: set CITEWELL_JUDGE_URL, or draft by rules", code="no_judge"
        )
    return JudgeWriter(judge)


def _check_sees_all(caller: Caller, what: str) -> None:
    if caller.tags is not None:
        raise Forbidden(f"{what} quote any document of the collection; use a key without access tags")


def _newest_runs(service: Service, collection: Collection) -> Iterator[Evaluation]:
    """The newest finished run of each question set."""
    seen: set[str | None] = set()
    for run in service.evaluation.evaluations.page(collection_pk=collection.pk, limit=_RUNS):
        if run.state == "succeeded" and run.question_set not in seen:
            seen.add(run.question_set)
            yield run


def _rows(service: Service, run: Evaluation) -> Iterator[tuple[EvaluationRow, EvaluationQuestion]]:
    assert run.question_set is not None
    stored = service.evaluation.question_sets.get(run.question_set, run.question_set_sha256)
    questions = {question.id: question for question in stored.parsed().questions}
    for row in service.evaluation.evaluations.iterate_rows(run):
        yield row, questions[row.question_id]


def _every_question(service: Service) -> Iterable[EvaluationQuestion]:
    for stored in service.evaluation.question_sets.every():
        yield from stored.parsed().questions
