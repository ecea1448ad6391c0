"""Searches over HTTP that wait at the same time are made together, on one thread.

As in `ingest.models.runtime` there is no wait window: what waits while a batch is under way is the next one, and a
search that comes alone begins at once. While the model embeds the queries of one batch, the thread finishes the one
before it. So Python's lock, which a thread for each search would fight for, changes hands a few times a batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from ingest.errors import Unavailable
from retrieve import Ranking, SearchBatch, Searcher, SearchTask

_LOG = logging.getLogger(__name__)
_BATCH_MAX = 8
"""Searches that wait for each other. Larger batches are hardly faster by themselves, and with sixteen clients all would
be in one: nothing would be left for the thread to do while the model embeds (221 to 258 searches a second; of 8, 298
and 310)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    task: SearchTask
    reply: asyncio.Future[bytes]


@dataclass(frozen=True, slots=True)
class _UnderWay:
    searches: Sequence[_Waiting]
    batch: SearchBatch


_Reply = tuple[_Waiting, bytes | Exception]


class SearchQueue:
    """Makes light searches (`Searcher.is_light`) for the event loop that opens it; `render` makes their bodies.

    It has no bound of its own: a caller holds a place of `Admission`. What its client has left is not begun.
    """

    def __init__(self, searcher: Searcher, render: Callable[[Ranking], bytes]) -> None:
        self._searcher = searcher
        self._render = render
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closed = False
        self._worker = threading.Thread(target=self._serve, name="searches", daemon=True)
        self._worker.start()

    async def search(self, task: SearchTask) -> bytes:
        """The rendered ranking. Raises as `Searcher.search` does, and `Unavailable` after `close`."""
        if self._closed:
            raise Unavailable("the service is shutting down")
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.put(_Waiting(task, reply))
        return await reply

    async def aclose(self) -> None:
        """Answers what waits, and ends."""
        self._closed = True
        self._waiting.put(None)
        await asyncio.to_thread(self._worker.join)

    def _serve(self) -> None:
        under_way: _UnderWay | None = None
        ended = False
        while not ended:
            searches, ended = self._take(wait=under_way is None)
            begun = self._begin(searches) if searches else None
            if under_way is not None:
                self._tell(self._finished(under_way))
            under_way = begun
            if under_way is not None:
                self._advance(under_way)
        if under_way is not None:
            self._tell(self._finished(under_way))

    def _take(self, *, wait: bool) -> tuple[list[_Waiting], bool]:
        """What waits, and whether nothing comes after it; waits for the first where there is nothing else to do."""
        taken: list[_Waiting] = []
        while len(taken) < _BATCH_MAX:
            try:
                one = self._waiting.get(block=wait and not taken)
            except Empty:
                break
            if one is None:
                return taken, True
            if not one.reply.cancelled():
                taken.append(one)
        return taken, False

    def _begin(self, searches: Sequence[_Waiting]) -> _UnderWay | None:
        try:
            return _UnderWay(searches, self._searcher.begin([one.task for one in searches]))
        except Exception as failure:  # noqa: BLE001 - the thread serves everyone: the failure belongs to these callers
            self._tell([(one, failure) for one in searches])
            return None

    def _advance(self, under_way: _UnderWay) -> None:
        try:
            under_way.batch.advance()
        except Exception:  # noqa: BLE001 - `finish` meets it again, and tells the callers
            _LOG.exception("a batch of searches failed")

    def _finished(self, under_way: _UnderWay) -> list[_Reply]:
        try:
            outcomes = under_way.batch.finish()
        except Exception as failure:  # noqa: BLE001 - as in `_begin`
            return [(one, failure) for one in under_way.searches]
        return [(one, self._rendered(outcome)) for one, outcome in zip(under_way.searches, outcomes, strict=True)]

    def _rendered(self, outcome: Ranking | Exception) -> bytes | Exception:
        if isinstance(outcome, Exception):
            return outcome
        try:
            return self._render(outcome)
        except Exception as failure:  # noqa: BLE001 - as in `_begin`
            return failure

    def _tell(self, replies: Sequence[_Reply]) -> None:
        self._loop.call_soon_threadsafe(_deliver, replies)


def _deliver(replies: Sequence[_Reply]) -> None:
    """On the event loop; whoever has left is not told."""
    for waiting, outcome in replies:
        if waiting.reply.done():
            continue
        if isinstance(outcome, Exception):
            waiting.reply.set_exception(outcome)
        else:
            waiting.reply.set_result(outcome)
