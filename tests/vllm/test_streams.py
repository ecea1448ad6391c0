"""Many streams at once on a real vLLM, of which a third is left midway: what stays is whole, what leaves is let go."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.bootstrap import Service
from tests.api.live import events, running
from tests.vllm.conftest import VllmServer
from tests.vllm.services import ASK, service_on

STREAMS = 64
LEAVING = 21
ROUNDS = 3
TOKENS = 900
MEMORY_GROWTH_MIB = 30
PATIENT = dict.fromkeys(("generator_first_token_timeout_s", "generator_token_timeout_s", "generator_timeout_s"), 280.0)


async def test_many_streams_of_which_a_third_leaves(vllm: VllmServer, tmp_path: Path) -> None:
    """Those that stay end complete; the server drops the others long before their end; no task, no connection and no
    memory is left behind.

    How soon it drops them is printed, and told in docs/performance.md: a limit here would test what else runs.
    """
    endless: dict[str, Any] = {"generator_guided": "off", "generator_extra": {"ignore_eos": True}, **PATIENT}
    with service_on(vllm, tmp_path, generator_max_tokens=TOKENS, **endless) as service, running(service) as url:
        async with httpx.AsyncClient(base_url=url, timeout=300) as client:
            (await client.post(ASK, json={"question": "What comes first?"})).raise_for_status()
        sizes, waits, tasks = [], [], len(_tasks(service))
        for turn in range(ROUNDS):
            finished = vllm.finished()
            waits.append(await _round(vllm, url, turn))
            await asyncio.to_thread(_check_nothing_left, service, tasks)
            assert vllm.running() == 0
            assert vllm.finished() - finished == STREAMS - LEAVING
            sizes.append(_resident_mib())
    print(f"the server let go after s: {waits}; resident MiB after each round: {sizes}")
    assert sizes[-1] - sizes[0] < MEMORY_GROWTH_MIB


async def _round(vllm: VllmServer, url: str, turn: int) -> float:
    """All streams at once; when each has begun, a third leaves. Gives the seconds until the server let go of those."""
    crowd, limits = _Crowd(), httpx.Limits(max_connections=STREAMS)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client, asyncio.TaskGroup() as group:
        for number in range(STREAMS):
            group.create_task(crowd.stream(client, f"Round {turn}: what about wind number {number}?"))
        await crowd.all_begun.wait()
        before = await asyncio.to_thread(vllm.running)
        assert before >= LEAVING, "some that are to leave came to their end before the last one began"
        crowd.leave.set()
        left = time.monotonic()
        while await asyncio.to_thread(vllm.running) > before - LEAVING:
            pass  # a server that works on for those who left counts them as finished, which is asserted at the end
        waited = time.monotonic() - left
    return round(waited, 2)


@dataclass
class _Crowd:
    """Streams that begin at once; the last third to get its first words waits for the moment to leave."""

    begun: int = 0
    all_begun: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, client: httpx.AsyncClient, question: str) -> None:
        """Read to the end, which must be whole; or leave."""
        received, counted = bytearray(), False
        async with client.stream("POST", ASK, json={"question": question, "stream": True, "draft": True}) as response:
            assert response.status_code == 200, await response.aread()
            async for block in response.aiter_bytes():
                received += block
                if not counted and b"event: draft" in received:
                    counted = True
                    if await self._leaves():
                        return
        told = events(bytes(received))
        assert told[0][0] == "retrieval"
        assert told[-1][0] == "done", told[-1]
        assert told[-1][1]["question"] == question
        assert told[-1][1]["usage"]["completion_tokens"] == TOKENS

    async def _leaves(self) -> bool:
        self.begun += 1
        leaves = self.begun > STREAMS - LEAVING
        if self.begun == STREAMS:
            self.all_begun.set()
        if leaves:
            await self.leave.wait()
        return leaves


def _check_nothing_left(service: Service, tasks: int) -> None:
    """In a moment, the service has no more tasks than before and no connection in use."""
    deadline = time.monotonic() + 30
    while len(_tasks(service)) > tasks or _busy(service):
        assert time.monotonic() < deadline, f"left behind: {_tasks(service)}, {_busy(service)}"
        time.sleep(0.05)


def _tasks(service: Service) -> list[str]:
    assert service.language_model is not None
    [loop] = service.language_model.client._clients
    return [repr(task) for task in asyncio.all_tasks(loop)]


def _busy(service: Service) -> list[str]:
    """Connections to the language model over which an answer comes, and the pool when it counts requests."""
    assert service.language_model is not None
    [client] = service.language_model.client._clients.values()
    pool = client._transport._pool  # type: ignore[attr-defined]
    busy = [repr(connection) for connection in pool.connections if not connection.is_idle()]
    return busy + ([] if "Requests: 0 active, 0 queued" in repr(pool) else [repr(pool)])


def _resident_mib() -> float:
    gc.collect()
    with open("/proc/self/statm") as statistics:
        return round(int(statistics.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)
