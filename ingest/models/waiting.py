"""What waits for a model: requests of callers, their items, and the queues that they stand in."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ingest.models.encoder import FloatArray

_ARRIVED: ContextVar[float | None] = ContextVar("arrived", default=None)


class Priority(IntEnum):
    """Order of service: someone waits for a query; bulk work has time."""

    QUERY = 0
    BULK = 1


def arrives_now() -> None:
    """What this task, and those that it begins, ask of models from here on comes before what arrives later."""
    _ARRIVED.set(time.monotonic())


def _arrival() -> float:
    return _ARRIVED.get() or time.monotonic()


@dataclass(eq=False)
class Request:
    """What one caller waits for: a slot for each of its items; `since` is when its work arrived (monotonic)."""

    results: list[Any]
    missing: int
    since: float = field(default_factory=_arrival)
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A text or pair of a request, and its cost in tokens."""

    request: Request
    slot: int
    content: Any
    cost: int


@dataclass(frozen=True, slots=True)
class Lane:
    """A queue of items that may share a forward: same priority, same model, same operation; the oldest work first."""

    priority: Priority
    operation: str
    run: Callable[[Sequence[Any]], Sequence[Any] | FloatArray]
    items: deque[Item] = field(default_factory=deque)

    def add(self, items: Sequence[Item]) -> None:
        """Behind all that did not arrive later."""
        later = []
        while self.items and self.items[-1].request.since > items[0].request.since:
            later.append(self.items.pop())
        self.items.extend(items)
        self.items.extend(reversed(later))
