"""Server-sent events: named, each with one JSON object, ending when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import Problem, problem_of
from ingest.errors import CitewellError

Result = TypeVar("Result")

MEDIA_TYPE = "text/event-stream"
_AHEAD = 32


@dataclass(frozen=True, slots=True)
class Event:
    """An event; without data it is a comment that keeps the connection open.

    `id` is what a client that was cut off sends back as `Last-Event-ID`.
    """

    name: str | None
    data: BaseModel | str | None
    id: str | None = None

    def encode(self) -> bytes:
        if self.data is None:
            return b": still here\n\n"
        identity = f"id: {self.id}\n" if self.id is not None else ""
        name = f"event: {self.name}\n" if self.name is not None else ""
        data = self.data if isinstance(self.data, str) else self.data.model_dump_json()
        return f"{identity}{name}data: {data}\n\n".encode()


def error_event(problem: Problem) -> Event:
    """The event `error`, with the problem as its data."""
    return Event("error", problem)


class EventStream(StreamingResponse):
    """Sends `events`; an error of the service on the way is the last event, as `on_error` makes it.

    `resources` are closed at the end, also when the client leaves before the first event.
    """

    def __init__(
        self,
        events: AsyncIterator[Event],
        connection: HTTPConnection,
        resources: AsyncExitStack,
        on_error: Callable[[Problem], Event] = error_event,
    ) -> None:
        body = _encoded(events, connection, on_error)
        super().__init__(body, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def kept_alive(events: AsyncIterator[Event], *, every_s: float) -> AsyncIterator[AsyncIterator[Event]]:
    """`events` with a comment in between whenever none came for `every_s` seconds.

    They are made in a task of their own, at most 32 ahead of a slow client, which ends with the block.
    """
    queue: asyncio.Queue[Event | _End] = asyncio.Queue(_AHEAD)
    task = asyncio.create_task(_pump(events, queue))
    try:
        yield _drained(queue, every_s)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


async def _pump(events: AsyncIterator[Event], queue: asyncio.Queue[Event | _End]) -> None:
    error: Exception | None = None
    try:
        async for event in events:
            await queue.put(event)
    except Exception as failure:  # noqa: BLE001 - raised again where the events are read
        error = failure
    await queue.put(_End(error))


async def _drained(queue: asyncio.Queue[Event | _End], every_s: float) -> AsyncGenerator[Event, None]:
    while True:
        try:
            async with asyncio.timeout(every_s):
                event = await queue.get()
        except TimeoutError:
            yield Event(None, None)
            continue
        if isinstance(event, _End):
            if event.error is not None:
                raise event.error
            return
        yield event


async def unless_client_leaves(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`; cancels it, and raises `ClientDisconnect`, when nobody waits for it any more."""
    task, left = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, left):
            one.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _encoded(
    events: AsyncIterator[Event], connection: HTTPConnection, on_error: Callable[[Problem], Event]
) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield event.encode()
    except CitewellError as failure:
        yield on_error(problem_of(failure, connection)).encode()
