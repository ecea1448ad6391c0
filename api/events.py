"""Server-sent events: named, each with one JSON object, ending when the client leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import problem_of
from ingest.errors import CitewellError

MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Event:
    """A named event; without a name it is a comment that keeps the connection open.

    `id` is what a client that was cut off sends back as `Last-Event-ID`.
    """

    name: str | None
    data: BaseModel | None
    id: str | None = None

    def encode(self) -> bytes:
        if self.name is None or self.data is None:
            return b": still here\n\n"
        identity = f"id: {self.id}\n" if self.id is not None else ""
        return f"{identity}event: {self.name}\ndata: {self.data.model_dump_json()}\n\n".encode()


class EventStream(StreamingResponse):
    """Sends `events`; an error of the service on the way is the last event, `error`, with the problem as its data.

    `resources` are closed at the end, also when the client leaves before the first event.
    """

    def __init__(self, events: AsyncIterator[Event], connection: HTTPConnection, resources: AsyncExitStack) -> None:
        super().__init__(_encoded(events, connection), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._resources:
            await super().__call__(scope, receive, send)


async def _encoded(events: AsyncIterator[Event], connection: HTTPConnection) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield event.encode()
    except CitewellError as failure:
        yield Event("error", problem_of(failure, connection)).encode()
