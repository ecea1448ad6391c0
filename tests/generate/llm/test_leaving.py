"""Clients that leave at any moment, or read slowly: whatever the call to the language model waits for just then, its
connection comes back, and the server is not blamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from generate.llm import ChatClient, ChatRequest, CircuitBreaker, Deadlines
from ingest.errors import DeadlineExceeded
from tests.generate.llm.contract import answer
from tests.scripted_llm import MODEL, Finish, Raw, Say, ScriptedServer, saying

MESSAGES = ({"role": "user", "content": "At what wind does MV Fulmar stop?"},)
REQUEST = ChatRequest(MESSAGES, 50)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(saying("At ", "34 ", "knots ", "[1]."), token_s=0.005) as running:
        yield running


class Driven:
    """Awaits a coroutine, and cancels the running task right after the given ones of its suspensions."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], cancel_at: tuple[int, ...]) -> None:
        self._coroutine = coroutine
        self._cancel_at = cancel_at
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, None]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        step = self._coroutine.send, None
        while True:
            try:
                awaited = step[0](step[1])  # type: ignore[arg-type]
            except StopIteration:
                return
            self.suspensions += 1
            if self.suspensions in self._cancel_at:
                loop.call_soon(task.cancel)
            try:
                step = self._coroutine.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001 - handed to the coroutine
                step = self._coroutine.throw, error  # type: ignore[assignment]


async def whole_call(client: ChatClient) -> None:
    """What an answer takes: the prompt is counted, then the reply is read to its end."""
    await client.count_tokens(MESSAGES)
    async with aclosing(client.stream(REQUEST)) as pieces:
        async for _ in pieces:
            pass


@pytest.mark.parametrize("again_after", [None, 1, 2, 3])
async def test_no_moment_to_leave_keeps_the_connection(server: ScriptedServer, again_after: int | None) -> None:
    """Cancelled once at each suspension, or a second time while it clears up: the only connection that the client may
    open is free again for the next call, and no request is counted as under way.
    """
    client = ChatClient(server.url, MODEL, connections_max=1, deadlines=Deadlines(connect_s=2))
    moment, left = 0, True
    while left:
        moment += 1
        cancel_at = (moment,) if again_after is None else (moment, moment + again_after)
        driven = Driven(whole_call(client), cancel_at)

        async def call(driven: Driven = driven) -> None:
            await driven

        [outcome] = await asyncio.gather(asyncio.create_task(call()), return_exceptions=True)
        left = isinstance(outcome, asyncio.CancelledError)
        assert left or (outcome is None and driven.suspensions < moment)
        await whole_call(client)
        assert "Requests: 0 active, 0 queued" in pool_of(client)
    assert moment > 5
    await client.aclose()


def pool_of(client: ChatClient) -> str:
    """What the connection pool says of itself."""
    [http] = client._clients.values()
    return repr(http._transport._pool)  # type: ignore[attr-defined]


async def test_a_connection_serves_one_answer_after_the_other(server: ScriptedServer) -> None:
    """What follows the end of an answer is read, so that the next one need not connect."""
    client = ChatClient(server.url, MODEL)
    for _ in range(3):
        await whole_call(client)
    assert server.accepted == 1
    await client.aclose()


async def test_a_server_that_goes_on_after_the_end_holds_nothing_up(server: ScriptedServer) -> None:
    """The answer is whole at its end; the connection is given up."""
    server.script = lambda body: (Say(("At 34 knots [1].",)), Finish(), *[Raw(b": still here\n\n")] * 50)
    server.token_s = 0.05
    client = ChatClient(server.url, MODEL)
    text, reasons, _, _ = await answer(client, REQUEST)
    assert (text, reasons) == ("At 34 knots [1].", ["stop"])
    assert "0 active" in pool_of(client)
    await client.aclose()


async def read_slowly(client: ChatClient) -> None:
    async with aclosing(client.stream(REQUEST)) as pieces:
        async for _ in pieces:
            await asyncio.sleep(0.4)


async def test_a_slow_reader_is_no_failure_of_the_server(server: ScriptedServer) -> None:
    """An answer that is not read in time ends, and the circuit stays closed for everybody else."""
    server.script = saying(*["word "] * 50)
    breaker = CircuitBreaker(failures_max=1, open_s=60)
    client = ChatClient(server.url, MODEL, deadlines=Deadlines(total_s=0.3), breaker=breaker)
    with pytest.raises(DeadlineExceeded):
        await read_slowly(client)
    assert await client.count_tokens(MESSAGES) is not None
    await client.aclose()
