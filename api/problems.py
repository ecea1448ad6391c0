"""Errors over HTTP: every one is an RFC 9457 problem, and this is the one table from error classes to statuses."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from ingest.errors import (
    CitewellError,
    Conflict,
    DeadlineExceeded,
    ExtractionFailed,
    FieldProblem,
    Forbidden,
    Gone,
    InvalidInput,
    NotFound,
    Overloaded,
    StorageFull,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

_LOG = logging.getLogger(__name__)

STATUS_OF: dict[type[CitewellError], int] = {
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    Gone: 410,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Unauthorized: 401,
    Forbidden: 403,
    Overloaded: 429,
    DeadlineExceeded: 504,
    Unavailable: 503,
    StorageFull: 507,
    ExtractionFailed: 422,
}
_RETRY_AFTER_S = {429: 1, 503: 5}
_MEDIA_TYPE = "application/problem+json"
_INTERNAL_ERROR = "the service failed on this request; the log has the details under this request id"


class FieldError(BaseModel):
    """One wrong field of a request."""

    field: str = Field(description="Dotted path of the field, for example `filter.author`.")
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it, with a stable code and every wrong field at once."""

    type: str = Field(description="URN that names the code.")
    title: str
    status: int
    detail: str = Field(description="What was expected, what came, and what to do.")
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Stable and machine-readable, snake_case.")
    request_id: str
    retryable: bool = Field(description="Whether the same request may succeed later.")
    errors: list[FieldError] = []


def problem_of(error: CitewellError, connection: HTTPConnection) -> Problem:
    """The problem that describes an error of the service."""
    return _problem(
        connection,
        status=status_of(error),
        code=error.code,
        detail=error.message,
        retryable=error.retryable,
        fields=error.problems,
    )


def status_of(error: CitewellError) -> int:
    """The HTTP status of an error: that of its nearest class in the table."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def internal_problem(connection: HTTPConnection) -> Problem:
    """For what no layer raises on purpose."""
    return _problem(connection, status=500, code="internal_error", detail=_INTERNAL_ERROR)


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as a response, with the headers that belong to its status."""
    headers = dict(headers or {})
    if problem.status in _RETRY_AFTER_S:
        headers["Retry-After"] = str(_RETRY_AFTER_S[problem.status])
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(problem.model_dump_json(), problem.status, headers, _MEDIA_TYPE)


async def on_citewell_error(request: Request, error: Exception) -> Response:
    """Handler for everything that the service raises on purpose."""
    assert isinstance(error, CitewellError)
    return problem_response(problem_of(error, request))


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Handler for requests that do not have the declared shape."""
    assert isinstance(error, RequestValidationError)
    fields = tuple(FieldProblem(_field_name(one["loc"]), _message(one)) for one in error.errors())
    detail = "; ".join(f"{one.field}: {one.message}" for one in fields)
    return problem_response(_problem(request, status=422, code="invalid_request", detail=detail, fields=fields))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Handler for what the framework raises: unknown routes and methods, and bodies that could not be read."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, CitewellError):
        return problem_response(problem_of(error.__cause__, request))
    status, code, detail = error.status_code, "http_error", str(error.detail)
    if status == 404:
        code, detail = (
            "route_not_found",
            f"there is no route {request.scope['path'][:200]!r}; /openapi.json lists them all",
        )
    elif status == 405:
        code = "method_not_allowed"
        detail = f"{request.method} is not allowed here; use one of those in the header Allow"
    elif status == 400:
        _LOG.info("a body could not be read", exc_info=error.__cause__)
        status, code, detail = 422, "invalid_body", "the body cannot be read; send what /openapi.json describes"
    headers = dict(error.headers or {})
    return problem_response(_problem(request, status=status, code=code, detail=detail), headers)


def _problem(
    connection: HTTPConnection,
    *,
    status: int,
    code: str,
    detail: str,
    retryable: bool = False,
    fields: Iterable[FieldProblem] = (),
) -> Problem:
    return Problem(
        type=f"urn:citewell:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_printable(detail),
        instance=quote(_printable(connection.scope["path"])),
        code=code,
        request_id=connection.state.request_id,
        retryable=retryable,
        errors=[FieldError(field=_printable(one.field), message=_printable(one.message)) for one in fields],
    )


def _printable(text: str) -> str:
    """Half a surrogate pair, quoted from a request, must not break the response that complains of it."""
    return text.encode("utf-8", "replace").decode()


def _field_name(location: tuple[int | str, ...]) -> str:
    inner = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    return ".".join(str(part)[:100] for part in inner) or "body"


def _message(error: dict[str, object]) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is no field of this request; leave it out"
        case "json_invalid":
            context = error["ctx"]
            assert isinstance(context, dict)
            return f"is not valid JSON: {context['error']}"
        case "model_attributes_type" | "dict_type" | "model_type":
            return "is to be a JSON object, sent with Content-Type: application/json"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")  # pydantic's words before those of our own checks
