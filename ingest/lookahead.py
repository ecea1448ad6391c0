"""Prepares documents before their turn, side by side, and hands them out in order.

What is ready waits in memory: no further document is begun while more than a number of characters waits or is being
embedded. The document whose turn it is never waits for that, since those before it are given back first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from ingest.errors import Unavailable
from ingest.prepared import Prepared, Task

DOCUMENTS_AHEAD = 512
CHARS_HELD_MAX = 32_000_000
"""At 1 to 4 bytes a character, and about as much again for chunks and tokens; one document may exceed it alone."""
GROUP_CHUNKS = 256
"""About three seconds of embedding with the packaged model on two cores: little is lost with a group, few commits."""
GROUP_DOCUMENTS = 256


class Lookahead:
    """Runs `prepare` (which does not raise for what ails one document) on `workers` threads. Used by one thread."""

    def __init__(self, prepare: Callable[[Task], Prepared], tasks: Iterator[Task], *, workers: int) -> None:
        self._prepare = prepare
        self._tasks = tasks
        self._ahead: deque[Future[Prepared]] = deque()
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="prepare")
        self._room = threading.Condition()
        self._held = 0
        self._closed = False
        self._refill()

    def __enter__(self) -> Lookahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._room:
            self._closed = True
            self._room.notify_all()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __bool__(self) -> bool:
        """There are documents that nobody has taken."""
        return bool(self._ahead)

    @property
    def is_ready(self) -> bool:
        """The next document can be taken without waiting."""
        return bool(self._ahead) and self._ahead[0].done()

    @property
    def next(self) -> Future[Prepared]:
        """The next document, to wait for it among other things; there is one."""
        return self._ahead[0]

    def restart(self, tasks: Iterator[Task]) -> None:
        """Go on with other tasks after the last one."""
        self._tasks = tasks
        self._refill()

    def take(self) -> list[Prepared]:
        """The next document, waiting for it, and those after it that are ready, up to the size of a group.

        Raises what `prepare` raised.
        """
        group = [self._ahead.popleft().result()]
        chunks = len(group[0].chunks)
        while self.is_ready and chunks < GROUP_CHUNKS and len(group) < GROUP_DOCUMENTS:
            group.append(self._ahead.popleft().result())
            chunks += len(group[-1].chunks)
        self._refill()
        return group

    def give_back(self, group: Sequence[Prepared]) -> None:
        """The group is committed: its memory is free for others."""
        with self._room:
            self._held -= sum(map(_size, group))
            self._room.notify_all()

    def _refill(self) -> None:
        while len(self._ahead) < DOCUMENTS_AHEAD and (task := next(self._tasks, None)) is not None:
            self._ahead.append(self._executor.submit(self._run, task))

    def _run(self, task: Task) -> Prepared:
        with self._room:
            self._room.wait_for(lambda: self._held < CHARS_HELD_MAX or self._closed)
            if self._closed:
                raise Unavailable("the job was stopped")  # nobody waits for this document any more
        prepared = self._prepare(task)
        with self._room:
            self._held += _size(prepared)
        return prepared


def _size(prepared: Prepared) -> int:
    """Characters of the text, and bytes of the attachments."""
    text = len(prepared.parsed.text) if prepared.parsed is not None else 0
    return text + sum(len(one.data) for one in prepared.attachments)
