"""Lets a synchronous httpx2 client call an ASGI application in its own process, without a socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any

import httpx2


class InProcessTransport(httpx2.BaseTransport):
    """Runs `app` on an event loop in a thread of its own. Request bodies are streamed, responses come whole.

    `lifespan` of the application, such as `app.router.lifespan_context(app)`, lasts on that loop as long as the
    transport: what the application opens there is closed there. What it raises at its begin is raised here.
    """

    def __init__(self, app: Any, lifespan: AbstractAsyncContextManager[object] | None = None) -> None:
        self._asgi = httpx2.ASGITransport(app, raise_app_exceptions=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="in-process-app", daemon=True)
        self._thread.start()
        self._ending = asyncio.Event()
        begun: Future[None] = Future()
        self._life = asyncio.run_coroutine_threadsafe(self._live(lifespan or nullcontext(), begun), self._loop)
        try:
            begun.result()
        except BaseException:
            self._end()
            raise

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return asyncio.run_coroutine_threadsafe(self._handle(request), self._loop).result()

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._ending.set)
        try:
            self._life.result()
        finally:
            self._end()

    async def _live(self, lifespan: AbstractAsyncContextManager[object], begun: Future[None]) -> None:
        """Begin and end the lifespan in one task, as those must that have a group of tasks."""
        try:
            async with lifespan:
                begun.set_result(None)
                await self._ending.wait()
        except BaseException as failure:
            if begun.done():
                raise
            begun.set_exception(failure)

    def _end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> InProcessTransport:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.close()

    async def _handle(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.SyncByteStream)
        response = await self._asgi.handle_async_request(
            httpx2.Request(
                request.method,
                request.url,
                headers=request.headers,
                stream=_Body(iter(request.stream)),
                extensions=request.extensions,
            )
        )
        content = await response.aread()
        return httpx2.Response(response.status_code, headers=response.headers, content=content)


class _Body(httpx2.AsyncByteStream):
    """A request body whose blocks are read (from disk) off the event loop."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while block := await asyncio.to_thread(next, self._blocks, b""):
            yield block
