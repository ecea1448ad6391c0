"""What every request passes: its id, its limit, its log line, its headers, and the outermost boundary for errors."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.problems import internal_problem, problem_of, problem_response
from ingest.errors import TooLarge

_LOG = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_CLIENT_CLOSED = 499
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RequestBoundary:
    """Gives the request its id, adds the common headers, logs and counts it, and turns any escaped error into a 500."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), request_id)
            await send(message)

        begun = time.perf_counter()
        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            status = status or _CLIENT_CLOSED
        except Exception:
            _LOG.exception("request %s failed", request_id)
            if status is not None:
                raise  # the response has begun: only cutting the connection tells the client
            await problem_response(internal_problem(HTTPConnection(scope)))(scope, receive, send_marked)
        finally:
            self._metrics.in_flight -= 1
            self._account(scope, status or _CLIENT_CLOSED, time.perf_counter() - begun)

    def _account(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.observe(method, getattr(scope.get("route"), "path", "unmatched"), status, seconds)
        line = {
            "event": "request",
            "request_id": scope["state"]["request_id"],
            "method": method,
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "key_id": scope["state"].get("key_id"),
        }
        _LOG.info(json.dumps(line))


class BodyLimit:
    """Refuses a body of more than `body_max_bytes`: at once where its length is declared, else while it is read."""

    def __init__(self, app: ASGIApp, body_max_bytes: int) -> None:
        self._app = app
        self._body_max_bytes = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdecimal() and int(declared[:30]) > self._body_max_bytes:
            problem = problem_of(self._too_large(), HTTPConnection(scope))
            await problem_response(problem)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_max_bytes:
                raise self._too_large()
            return message

        await self._app(scope, receive_counted, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the body is larger than the limit of {self._body_max_bytes:,} bytes; send it in parts, or raise the limit"
        )


def _request_id(headers: Headers) -> str:
    """The caller's own id where it is a sane one, else a fresh one."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _add_headers(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-Id"] = request_id
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
