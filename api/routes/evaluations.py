"""Evaluations: runs over question sets, their verdicts, rows and reports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from api.auth import Administrator, Caller, Reader, Writer
from api.bootstrap import Service
from api.dependencies import PROBLEM, Cursor, Limit, ServiceDep
from api.evaluation_models import (
    BaselineResponse,
    BlessRequest,
    ComparisonResponse,
    EvaluationRequest,
    EvaluationResponse,
    EvaluationSubmission,
)
from api.json_body import StrictRoute
from api.models import Page
from api.routes.question_sets import question_set_for
from eval.comparison import compare
from eval.evaluations import Evaluation, Plan
from eval.export import PARQUET, parquet_bytes
from eval.report import load_subject, render
from eval.runs import planned_asks
from ingest.errors import Forbidden, NotFound

router = APIRouter(prefix="/v1/evaluations", tags=["evaluation"], route_class=StrictRoute, responses=PROBLEM)

_LINES = "application/x-ndjson"
_REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One row an ask.",
        "content": {
            _LINES: {"schema": {"type": "string"}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


_SCORES: dict[int | str, dict[str, Any]] = {
    200: {"description": "One score a line.", "content": {_LINES: {"schema": {"type": "string"}}}}
}


@router.post("", status_code=202)
def post_evaluation(body: EvaluationRequest, caller: Writer, service: ServiceDep) -> EvaluationSubmission:
    """Ask a question set of a collection, compare with the baseline, and conclude. The job can be cancelled."""
    if not caller.may_use(body.collection):
        raise Forbidden(f"this key may not use collection {body.collection!r}; use one that may")
    stored = question_set_for(service, body.question_set, caller)
    collection = service.collections.get(body.collection)
    if body.baseline is not None:
        evaluation_for(service, body.baseline, caller)
    plan = Plan(
        question_set=stored.name,
        question_set_sha256=stored.sha256,
        fingerprint=service.answerer.fingerprint(collection.live_generation),
        repeats=body.repeats,
        access=None if caller.tags is None else tuple(sorted(caller.tags)),
        key_id=caller.key_id,
        nightly=body.nightly,
    )
    asks = len(planned_asks(stored.parsed(), range(body.repeats)))
    evaluation = service.evaluation.evaluations.submit(collection, plan, asks=asks, baseline=body.baseline)
    service.runner.notify()
    assert evaluation.job_id is not None
    return EvaluationSubmission(evaluation_id=evaluation.evaluation_id, job_id=evaluation.job_id)


@router.get("")
def list_evaluations(
    caller: Reader,
    service: ServiceDep,
    collection: Annotated[str | None, Query(max_length=100)] = None,
    question_set: Annotated[str | None, Query(max_length=100)] = None,
    limit: Limit = 100,
    cursor: Cursor = "0",
) -> Page[EvaluationResponse]:
    """Evaluations that the key may see, newest first."""
    before = int(cursor) or None
    found: list[Evaluation] = []
    while len(found) <= limit:
        page = service.evaluation.evaluations.page(question_set=question_set, before=before, limit=limit + 1)
        found += [
            one for one in page if _is_visible(one, caller) and (collection is None or one.collection == collection)
        ]
        if len(page) <= limit:
            break
        before = page[-1].pk
    following = str(found[limit - 1].pk) if len(found) > limit else None
    return Page(items=[EvaluationResponse.of(one) for one in found[:limit]], next_cursor=following)


@router.get("/{evaluation_id}")
def get_evaluation(evaluation_id: str, caller: Reader, service: ServiceDep) -> EvaluationResponse:
    """One evaluation: its state, and once it has ended its metrics and verdict."""
    return EvaluationResponse.of(evaluation_for(service, evaluation_id, caller))


@router.post("/{evaluation_id}/bless", status_code=201)
def bless_evaluation(
    evaluation_id: str, body: BlessRequest, caller: Administrator, service: ServiceDep
) -> BaselineResponse:
    """Make it the baseline of its question set, together with others where given; recorded."""
    runs = [evaluation_for(service, one, caller) for one in (evaluation_id, *body.together_with)]
    return BaselineResponse.of(service.evaluation.baselines.bless(runs, key_id=caller.key_id, note=body.note))


@router.get("/{evaluation_id}/comparison")
def compare_evaluations(
    evaluation_id: str,
    caller: Reader,
    service: ServiceDep,
    baseline: Annotated[str, Query(max_length=80, description="The evaluation to compare with.")],
) -> ComparisonResponse:
    """What changed between two runs of one question set, where it comes from, and what it is due to."""
    before = evaluation_for(service, baseline, caller)
    after = evaluation_for(service, evaluation_id, caller)
    return ComparisonResponse.of(compare(service.evaluation, before, after))


@router.get("/{evaluation_id}/report", response_class=HTMLResponse)
def get_report(evaluation_id: str, caller: Reader, service: ServiceDep) -> HTMLResponse:
    """Verdict, metrics, plots and every flipped question, as one page that needs nothing else."""
    evaluation = evaluation_for(service, evaluation_id, caller)
    page = render(load_subject(service.evaluation, evaluation))
    return HTMLResponse(page, headers={"Content-Security-Policy": _REPORT_POLICY})


@router.get("/{evaluation_id}/rows", response_class=StreamingResponse, responses=_ROWS)
def get_rows(
    evaluation_id: str,
    caller: Reader,
    service: ServiceDep,
    format: Literal["jsonl", "parquet"] = "jsonl",  # noqa: A002
) -> Response:
    """One row an ask, in order of question, phrasing and replicate, as JSON lines or as one Parquet file."""
    evaluation = evaluation_for(service, evaluation_id, caller)
    if format == "parquet":
        name = f"{evaluation.evaluation_id}.parquet"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(
            parquet_bytes(service.evaluation.evaluations.rows(evaluation)), headers=headers, media_type=PARQUET
        )
    return StreamingResponse(_lines(service, evaluation), media_type=_LINES)


@router.get("/{evaluation_id}/judge_scores", response_class=PlainTextResponse, responses=_SCORES)
def get_judge_scores(evaluation_id: str, caller: Reader, service: ServiceDep) -> Response:
    """One score of the judge a line, as JSON; a score that could not be had is null, with the reason in `failure`."""
    evaluation = evaluation_for(service, evaluation_id, caller)
    scores = service.evaluation.second_opinions.scores.of(evaluation)
    body = "".join(json.dumps(asdict(score), ensure_ascii=False) + "\n" for score in scores)
    return Response(body, media_type=_LINES)


def evaluation_for(service: Service, evaluation_id: str, caller: Caller) -> Evaluation:
    """Raises `NotFound`, as for one that does not exist, when the caller may not see it."""
    evaluation = service.evaluation.evaluations.get(evaluation_id)
    if not _is_visible(evaluation, caller):
        raise NotFound(f"evaluation {evaluation_id[:80]!r} does not exist", code="evaluation_not_found")
    return evaluation


def _is_visible(evaluation: Evaluation, caller: Caller) -> bool:
    """On a collection of the caller's; a key with access tags sees its own only, for rows quote documents."""
    if not caller.may_use(evaluation.collection):
        return False
    return caller.tags is None or evaluation.key_id == caller.key_id


def _lines(service: Service, evaluation: Evaluation) -> Iterator[str]:
    for row in service.evaluation.evaluations.iterate_rows(evaluation):
        yield json.dumps(row.as_json(), ensure_ascii=False) + "\n"
