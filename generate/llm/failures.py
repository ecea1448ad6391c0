"""What can go wrong with a language model server, as the errors that citewell raises for it."""

from __future__ import annotations

import json

import httpx2

from ingest.errors import CitewellError, DeadlineExceeded, Overloaded, Unavailable

_SAID_CHARS_MAX = 200


class ServerFailure(Exception):
    """A call that failed with `error`.

    `again`: the same call may work if it is made again now. `counts`: it says that the server is not well, so the
    circuit breaker counts it.
    """

    def __init__(self, error: CitewellError, *, again: bool = False, counts: bool = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.again = again
        self.counts = counts


def of_status(status: int, body: bytes) -> ServerFailure:
    """The failure that an HTTP status of 400 and above stands for."""
    said = _said(body)
    if status == 429:
        busy = Overloaded(f"the language model server takes no more requests now{said}", code="generator_busy")
        return ServerFailure(busy, again=True, counts=False)
    if status in (401, 403):
        return ServerFailure(_misconfigured(f"refused our key{said}; check CITEWELL_GENERATOR_API_KEY", "key"))
    if status == 404:
        return ServerFailure(
            _misconfigured(f"does not know the model or the path{said}; check its URL and its model", "model")
        )
    if status in (408, 504):
        late = DeadlineExceeded(f"the language model server ran out of time{said}", code="generator_timeout")
        return ServerFailure(late, again=True)
    if status < 500:
        return ServerFailure(_misconfigured(f"refused our request with {status}{said}", "request"), counts=False)
    failed = Unavailable(f"the language model server failed with {status}{said}", code="generator_failed")
    return ServerFailure(failed, again=True)


def of_transport(failure: httpx2.RequestError, url: str) -> ServerFailure:
    """The failure that a broken connection stands for."""
    if isinstance(failure, httpx2.TimeoutException):
        late = DeadlineExceeded(
            f"no connection to the language model server at {url} in time ({type(failure).__name__})",
            code="generator_timeout",
        )
        return ServerFailure(late, again=True)
    lost = Unavailable(
        f"the connection to the language model server at {url} failed ({type(failure).__name__}); is it running?",
        code="generator_unreachable",
    )
    return ServerFailure(lost, again=True)


def of_silence(waited_s: float, waited_for: str, *, counts: bool = True) -> ServerFailure:
    """The failure of a server that does not go on; it counts unless its time was taken by somebody else."""
    return ServerFailure(
        DeadlineExceeded(
            f"the language model server sent no {waited_for} within {waited_s:g} s", code="generator_timeout"
        ),
        counts=counts,
    )


def of_bad_reply(what: str) -> ServerFailure:
    """The failure of a server that does not speak the protocol."""
    return ServerFailure(
        Unavailable(
            f"the language model server sent {what}; is it an OpenAI-compatible server?", code="generator_bad_reply"
        )
    )


def of_stream_error(said: object) -> ServerFailure:
    """The failure that a server tells of within a stream."""
    message = said.get("message", said) if isinstance(said, dict) else said
    return ServerFailure(
        Unavailable(f"the language model server broke off: {_short(str(message))}", code="generator_failed"), again=True
    )


def interrupted() -> ServerFailure:
    """The failure of a stream that ends before its end was told."""
    return ServerFailure(
        Unavailable("the language model server broke off in the middle of its answer", code="generator_interrupted"),
        again=True,
    )


def _misconfigured(what: str, part: str) -> Unavailable:
    error = Unavailable(f"the language model server {what}", code=f"generator_refused_{part}")
    error.retryable = False
    return error


def _said(body: bytes) -> str:
    """What the server says of it, shortened; nothing where it says nothing readable."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    inner = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    return f": {_short(message)}" if isinstance(message, str) and message else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SAID_CHARS_MAX else text[:_SAID_CHARS_MAX] + "…"
