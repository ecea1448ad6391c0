"""Question sets: what is asked in evaluations."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from api.auth import Caller, Reader, Writer
from api.bootstrap import Service
from api.dependencies import PROBLEM, ServiceDep
from api.evaluation_models import QuestionSetResponse
from api.json_body import StrictRoute
from eval.question_sets import read_question_set
from eval.question_store import StoredQuestionSet
from ingest.errors import Forbidden, NotFound

router = APIRouter(
    prefix="/v1/question_sets/{question_set}", tags=["evaluation"], route_class=StrictRoute, responses=PROBLEM
)

_LINES = "application/x-ndjson"
_BODY = {
    "required": True,
    "content": {
        "text/plain": {"schema": {"type": "string", "description": "One question a line, as JSON."}},
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary", "description": "Gzipped or not."}
        },
    },
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The questions.", "content": {_LINES: {"schema": {"type": "string"}}}}
}
SetName = Annotated[str, Path(description="1 to 100 letters, digits, '.', '_' or '-'.")]
SetVersion = Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="Default: the current version.")]


@router.put(
    "",
    responses={201: {"model": QuestionSetResponse, "description": "New content."}},
    openapi_extra={"requestBody": _BODY},
)
async def put_question_set(
    question_set: SetName, request: Request, response: Response, caller: Writer, service: ServiceDep
) -> QuestionSetResponse:
    """Store a question set, or make this content its current version. All wrong lines are told at once."""
    stored, created = await asyncio.to_thread(_put, service, question_set, await request.body(), caller)
    if created:
        response.status_code = 201
    return QuestionSetResponse.of(stored)


@router.get("")
def get_question_set(
    question_set: SetName, caller: Reader, service: ServiceDep, version: SetVersion = None
) -> QuestionSetResponse:
    """What a question set holds."""
    return QuestionSetResponse.of(question_set_for(service, question_set, caller, version))


@router.get("/content", response_class=PlainTextResponse, responses=_CONTENT)
def get_question_set_content(
    question_set: SetName, caller: Reader, service: ServiceDep, version: SetVersion = None
) -> Response:
    """The questions themselves, one a line."""
    stored = question_set_for(service, question_set, caller, version)
    return Response(stored.body, media_type=_LINES)


def question_set_for(service: Service, name: str, caller: Caller, version: str | None = None) -> StoredQuestionSet:
    """Raises `NotFound`, also for the set of a key with other limits: it holds what was written about documents."""
    stored = service.evaluation.question_sets.get(name, version)
    if not _is_theirs(stored, caller):
        raise NotFound(f"question set {name[:120]!r} does not exist", code="question_set_not_found")
    return stored


def _put(service: Service, name: str, body: bytes, caller: Caller) -> tuple[StoredQuestionSet, bool]:
    questions = read_question_set(body)
    try:
        present = service.evaluation.question_sets.get(name)
    except NotFound:
        present = None
    if present is not None and not _is_theirs(present, caller):
        raise Forbidden(f"question set {name[:120]!r} belongs to another key; choose another name")
    return service.evaluation.question_sets.put(name, questions, key_id=caller.key_id)


def _is_theirs(stored: StoredQuestionSet, caller: Caller) -> bool:
    """A key that is limited to collections or tags sees the sets it put itself."""
    unlimited = caller.collections is None and caller.tags is None
    return unlimited or stored.key_id == caller.key_id
