"""Answers to identical questions, computed once: those of a moment ago, and those under way.

A key names everything that an outcome depends on but the state of its documents: that is checked anew at every use.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from sqlalchemy import select

from generate.composition import Outcome
from ingest.catalogue import Catalogue, schema
from ingest.errors import Unavailable

if TYPE_CHECKING:
    from generate.pipeline import ComputationEvent

Compute = Callable[[], "AsyncIterator[ComputationEvent]"]


@dataclass(frozen=True, slots=True)
class _Remembered:
    events: tuple[ComputationEvent, ...]
    until: float
    state: frozenset[tuple[object, ...]]


@dataclass(slots=True, eq=False)
class _Flight:
    """A computation under way, and how many wait for it."""

    events: list[ComputationEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    ended: bool = False
    error: BaseException | None = None
    task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class AnswerCache:
    """At most `entries_max` outcomes, each for `ttl_s` seconds at most; with 0 entries none is remembered, and
    computations under way are shared. Used from any number of event loops; a computation is shared within its own loop.
    """

    def __init__(
        self, catalogue: Catalogue, *, entries_max: int, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalogue = catalogue
        self._entries_max = entries_max
        self._ttl_s = ttl_s
        self._clock = clock
        self._remembered: OrderedDict[Hashable, _Remembered] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}

    async def stream(self, key: Hashable, compute: Compute) -> AsyncGenerator[tuple[ComputationEvent, bool], None]:
        """Events of the outcome under `key`, each with whether it was computed for someone else.

        The last of those who wait for a computation cancels it by leaving. Errors go to everyone who waits; they are
        not remembered. Raises `Unavailable` (`computation_stopped`) when it was cancelled by something else: the
        service is stopping.
        """
        found = self._remembered.get(key)
        if found is not None and await asyncio.to_thread(self._stands, found):
            self._remembered.pop(key, None)
            self._remembered[key] = found  # the one used last goes last
            for event in found.events:
                yield event, True
            return
        place = (id(asyncio.get_running_loop()), key)
        flight = self._flights.get(place)
        first = flight is None
        if flight is None:
            flight = self._flights[place] = _Flight()
            flight.task = asyncio.create_task(self._fly(key, flight, compute))
            flight.task.add_done_callback(partial(self._land, place, flight))
        flight.waiting += 1
        try:
            async for event in _follow(flight):
                yield event, not first
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.ended:
                self._flights.pop(place, None)
                assert flight.task is not None
                flight.task.cancel()

    def evict(self, document_pks: Sequence[int]) -> int:
        """Forget the outcomes that came of these documents among others; returns how many there were."""
        gone = frozenset(document_pks)
        named = [
            key
            for key, remembered in list(self._remembered.items())
            if any(hit.document_pk in gone for hit in _outcome(remembered.events).ranking.hits)
        ]
        return sum(self._remembered.pop(key, None) is not None for key in named)

    async def _fly(self, key: Hashable, flight: _Flight, compute: Compute) -> None:
        events = compute()
        async with aclosing(cast("AsyncGenerator[ComputationEvent, None]", events)):
            async for event in events:
                flight.events.append(event)
                flight.tell()
        await self._remember(key, tuple(flight.events))

    def _land(self, place: Hashable, flight: _Flight, task: asyncio.Task[None]) -> None:
        """Called at the end of every flight, also of one that was cancelled before it began."""
        flight.ended = True
        flight.error = _stopped() if task.cancelled() else task.exception()
        if self._flights.get(place) is flight:
            del self._flights[place]
        flight.tell()

    async def _remember(self, key: Hashable, events: tuple[ComputationEvent, ...]) -> None:
        if not self._entries_max:
            return
        outcome = _outcome(events)
        state = await asyncio.to_thread(self._state, outcome)
        self._remembered[key] = _Remembered(events, self._clock() + self._ttl_s, state)
        while len(self._remembered) > self._entries_max:
            self._remembered.popitem(last=False)

    def _stands(self, remembered: _Remembered) -> bool:
        """Whether its time is not over and every candidate is as it was: live, with the same tags and credibility."""
        return self._clock() < remembered.until and self._state(_outcome(remembered.events)) == remembered.state

    def _state(self, outcome: Outcome) -> frozenset[tuple[object, ...]]:
        documents, tags = schema.documents, schema.document_access
        keys = sorted({hit.document_pk for hit in outcome.ranking.hits})
        live = select(documents.c.pk, documents.c.live_version_pk, documents.c.credibility, documents.c.updated_at)
        live = live.where(documents.c.pk.in_(keys), documents.c.tombstoned_at.is_(None))
        with self._catalogue.read() as connection:
            rows = {tuple(row) for row in connection.execute(live)}
            tagged = select(tags.c.document_pk, tags.c.tag).where(tags.c.document_pk.in_(keys))
            return frozenset(rows | {tuple(row) for row in connection.execute(tagged)})


def _outcome(events: Sequence[ComputationEvent]) -> Outcome:
    """The last event of a computation."""
    outcome = events[-1]
    assert isinstance(outcome, Outcome)
    return outcome


def _stopped() -> Unavailable:
    return Unavailable(
        "the answer was stopped on its way, because the service stops; ask again", code="computation_stopped"
    )


async def _follow(flight: _Flight) -> AsyncIterator[ComputationEvent]:
    """The events of a flight from its beginning, as they come; its error at the end."""
    place = 0
    while True:
        changed = flight.changed
        while place < len(flight.events):
            yield flight.events[place]
            place += 1
        if flight.ended:
            if flight.error is not None:
                raise flight.error
            return
        await changed.wait()
