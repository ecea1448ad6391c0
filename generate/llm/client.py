"""The client of an OpenAI-compatible server: pooled connections, deadlines, retries before the first token."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast
from weakref import WeakKeyDictionary

import httpx2

from generate.llm.breaker import CircuitBreaker
from generate.llm.failures import ServerFailure, interrupted, of_bad_reply, of_silence, of_status, of_transport
from generate.llm.wire import Cleaner, Delta, Ended, data_lines, pieces_of
from ingest.errors import Unavailable

Message = Mapping[str, str]
"""A chat message: `role` and `content`."""

_BACKOFF_S = (0.2, 0.8, 2.0)
_BODY_MAX = 1 << 20
_REST_S = 0.2
_IDLE_S = 3.0
"""How long an idle connection is kept: less than the 5 s after which vLLM closes it, perhaps just as we write."""
_CONTEXT_STANDS_S = 300.0
_ABSENT = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Longest waits in seconds: for a connection, the first token, each further one, and the whole answer."""

    connect_s: float = 5.0
    first_token_s: float = 60.0
    token_s: float = 20.0
    total_s: float = 180.0


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One answer that is wanted. `grammar` (EBNF) binds it, where the server can; `extra` goes into the body as is."""

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    grammar: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, model: str) -> dict[str, Any]:
        """As the server gets it: always streamed, so that it stops when we hang up."""
        body: dict[str, Any] = {
            "model": model,
            "messages": list(self.messages),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.seed is not None:
            body["seed"] = self.seed
        if self.grammar is not None:
            body["structured_outputs"] = {"grammar": self.grammar}
        return {**body, **self.extra}


class ChatClient:
    """Speaks with one server about one model, from any number of event loops: each has connections of its own."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        key: str | None = None,
        deadlines: Deadlines | None = None,
        retries: int = 2,
        connections_max: int = 128,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """`url` is the base of the API with or without its `/v1`."""
        self.url = base_url(url)
        self.model = model
        self._headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._deadlines = deadlines or Deadlines()
        self._retries = retries
        self._limits = httpx2.Limits(
            max_connections=connections_max, max_keepalive_connections=connections_max, keepalive_expiry=_IDLE_S
        )
        self._breaker = breaker or CircuitBreaker(failures_max=5, open_s=10)
        self._tls = ssl.create_default_context()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient] = WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()
        self._counts_tokens = True
        self._context: tuple[int, float] | None = None

    @property
    def context_tokens(self) -> int | None:
        """The length of the model's context as it was told with a count of the last minutes; None where it was not, or
        the server has failed since: it may be another one then.
        """
        if self._context is None or time.monotonic() > self._context[1]:
            return None
        return self._context[0]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Ended, None]:
        """Pieces of the answer as they come. Closing the generator hangs up, which makes the server stop.

        Raises `Unavailable`, `Overloaded` and `DeadlineExceeded`; before the first piece only after the retries.
        """
        ends = time.monotonic() + self._deadlines.total_s
        for trial in range(self._retries + 1):
            begun = False
            try:
                async with aclosing(self._attempt(request, ends)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except ServerFailure as failure:
                self._context = None
                pause = _BACKOFF_S[min(trial, len(_BACKOFF_S) - 1)]
                if begun or not failure.again or trial == self._retries or time.monotonic() + pause > ends:
                    raise failure.error from failure
            await asyncio.sleep(pause)

    async def count_tokens(self, messages: tuple[Message, ...]) -> tuple[int, int | None] | None:
        """Tokens of the prompt as the server's template and tokenizer make it, and the length that its context has.

        None where the server cannot count. Raises as `stream` does.
        """
        if not self._counts_tokens:
            return None
        body = {"model": self.model, "messages": list(messages), "add_generation_prompt": True}
        try:
            status, reply = await self._post(f"{self.url.removesuffix('/v1')}/tokenize", body)
        except ServerFailure as failure:
            raise failure.error from failure
        if status in _ABSENT:
            self._counts_tokens = False
            return None
        if status >= 400:
            raise of_status(status, reply.content).error
        count, length = _counted(reply)
        self._context = None if length is None else (length, time.monotonic() + _CONTEXT_STANDS_S)
        return count, length

    def ping(self) -> None:
        """Raises `Unavailable` unless the server answers and lists the model. Synchronous, for health checks."""
        found = list_models(self.url, self._headers, timeout_s=self._deadlines.connect_s)
        if self.model not in found:
            raise Unavailable(
                f"the language model server at {self.url} has no model {self.model!r}; it has: {', '.join(found[:20])}",
                code="generator_refused_model",
            )

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _attempt(self, request: ChatRequest, ends: float) -> AsyncGenerator[Delta | Ended, None]:
        with self._breaker.attempt() as attempt:
            try:
                async with aclosing(self._pieces(request, ends)) as pieces:
                    async for piece in pieces:
                        attempt.settle(True)
                        yield piece
            except ServerFailure as failure:
                attempt.settle(False if failure.counts else None)
                raise

    async def _pieces(self, request: ChatRequest, ends: float) -> AsyncGenerator[Delta | Ended, None]:
        """Pieces of one reply, each within its time; raises `ServerFailure`, also for a reply without an end."""
        first_by = min(time.monotonic() + self._deadlines.first_token_s, ends)
        cleaner, finished, spoken = Cleaner(), False, False
        async with self._body(request, first_by) as body:
            lines = data_lines(body)
            async with aclosing(lines):
                while True:
                    by = min(time.monotonic() + self._deadlines.token_s, ends) if spoken else first_by
                    what = "token" if spoken else "first token"
                    data = await _in_time(anext(lines, None), by, what, silent=not spoken or by < ends)
                    if data is None:
                        break
                    for piece in pieces_of(data):
                        if isinstance(piece, Delta):
                            spoken = True
                            piece = Delta(cleaner.clean(piece.text))
                        elif piece.finish_reason is not None:
                            finished = True
                        yield piece
            if finished:
                await _read_rest(body)
        if not finished:
            raise interrupted()
        if rest := cleaner.end():
            yield Delta(rest)

    @asynccontextmanager
    async def _body(self, request: ChatRequest, by: float) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The reply to a request, in blocks, once its headers are there; a status of 400 and above is a
        `ServerFailure`.
        """
        prepared = self._client().build_request("POST", f"{self.url}/chat/completions", json=request.body(self.model))
        response: httpx2.Response | None = None
        try:
            response = await _in_time(self._client().send(prepared, stream=True), by, "first token")
            if response.status_code >= 400:
                raise of_status(response.status_code, await _in_time(_read(response), by, "error message"))
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise of_bad_reply(f"{kind[:60] or 'nothing'} where text/event-stream was asked for")
            async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes())) as body:
                yield body
        except httpx2.RequestError as failure:
            raise of_transport(failure, self.url) from failure
        finally:
            if response is not None:
                await self._closed(response)

    async def _closed(self, response: httpx2.Response) -> None:
        """Give its connection back, whole even where this task is cancelled meanwhile: httpcore2 shields its closing
        from anyio's cancellation, not from asyncio's, and would count the request as under way for ever.
        """
        closing = asyncio.create_task(response.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def _post(self, url: str, body: Mapping[str, Any]) -> tuple[int, httpx2.Response]:
        by = time.monotonic() + self._deadlines.first_token_s
        with self._breaker.attempt() as attempt:
            try:
                reply = await _in_time(self._client().post(url, json=body), by, "count of tokens")
            except httpx2.RequestError as failure:
                attempt.settle(False)
                raise of_transport(failure, self.url) from failure
            except ServerFailure:
                attempt.settle(False)
                raise
            attempt.settle(reply.status_code < 500 or reply.status_code in _ABSENT)
            return reply.status_code, reply

    def _client(self) -> httpx2.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            timeout = httpx2.Timeout(None, connect=self._deadlines.connect_s, pool=self._deadlines.connect_s)
            client = httpx2.AsyncClient(headers=self._headers, timeout=timeout, limits=self._limits, verify=self._tls)
            self._clients[loop] = client
        return client


def base_url(url: str) -> str:
    """The base of the API, ending in `/v1`, of a URL with or without it."""
    trimmed = url.rstrip("/")
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"


def first_model(url: str, key: str | None, *, timeout_s: float) -> str:
    """The first model that a server lists. Raises `Unavailable` when it cannot be asked, or has none."""
    found = list_models(base_url(url), {"Authorization": f"Bearer {key}"} if key else {}, timeout_s=timeout_s)
    if not found:
        raise Unavailable(f"the language model server at {url} serves no model", code="generator_refused_model")
    return found[0]


def list_models(url: str, headers: Mapping[str, str], *, timeout_s: float) -> list[str]:
    """Names of the models behind a base URL. Raises `Unavailable` when the server does not answer as it should."""
    try:
        reply = httpx2.get(f"{url}/models", headers=dict(headers), timeout=timeout_s)
    except httpx2.RequestError as failure:
        raise Unavailable(
            f"the language model server at {url} does not answer ({type(failure).__name__}); start it, or name another",
            code="generator_unreachable",
        ) from failure
    if reply.status_code >= 400:
        raise of_status(reply.status_code, reply.content).error
    try:
        return [str(one["id"]) for one in reply.json()["data"]]
    except (ValueError, KeyError, TypeError):
        raise of_bad_reply("no list of models").error from None


async def _in_time(awaited: Any, by: float, what: str, *, silent: bool = True) -> Any:
    """The result of `awaited`, which must come by the moment `by` (monotonic); raises `ServerFailure` otherwise.

    It counts only for a server that was `silent` for its time: a whole answer may also take too long because its reader
    does.
    """
    waiting_s = max(by - time.monotonic(), 0.0)
    try:
        async with asyncio.timeout(waiting_s):
            return await awaited
    except TimeoutError:
        raise of_silence(round(waiting_s, 2), what, counts=silent) from None


async def _read_rest(body: AsyncIterator[bytes]) -> None:
    """What follows the end of an answer, which is next to nothing: a connection can be used again once all is read."""
    by = time.monotonic() + _REST_S
    with suppress(ServerFailure):
        while await _in_time(anext(body, None), by, "end") is not None:
            pass


async def _read(response: httpx2.Response) -> bytes:
    """The first mebibyte of a body."""
    body = b""
    async for block in response.aiter_bytes():
        body += block
        if len(body) > _BODY_MAX:
            break
    return body


def _counted(reply: httpx2.Response) -> tuple[int, int | None]:
    try:
        body = cast(Mapping[str, Any], reply.json())
        count, longest = body["count"], body.get("max_model_len")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise of_bad_reply("no count of tokens").error from None
    if not isinstance(count, int) or not (longest is None or isinstance(longest, int)):
        raise of_bad_reply("no count of tokens").error
    return count, longest
