"""The queue of searches over HTTP: what waits goes together, each caller has its own answer, and nothing stops it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest

from api.searching import SearchQueue
from ingest.errors import InvalidInput, Unavailable
from ingest.generations import Generation
from retrieve import Access, Query, Ranking, SearchBatch, Searcher, SearchTask


class GatedSearcher:
    """Finds the query's text, once `gate` is open; fails of what begins with `bad`, or wholly at `break`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def begin(self, tasks: Sequence[SearchTask]) -> SearchBatch:
        texts = [task.query.text for task in tasks]
        if "break" in texts:
            raise RuntimeError("nothing begins")
        self.batches.append(texts)
        self.began.set()
        return cast(SearchBatch, GatedBatch(texts, self.gate))


class GatedBatch:
    """What `GatedSearcher` begins."""

    def __init__(self, texts: list[str], gate: threading.Event) -> None:
        self._texts, self._gate = texts, gate

    def advance(self) -> None:
        assert self._gate.wait(20)
        if "halt" in self._texts:
            raise RuntimeError("it does not advance")

    def finish(self) -> list[Ranking | Exception]:
        if "halt" in self._texts:
            raise RuntimeError("it does not finish")
        return [
            InvalidInput(text) if text.startswith("bad") else Ranking((), text, 0, None, True, {})
            for text in self._texts
        ]


@pytest.fixture
def searcher() -> GatedSearcher:
    """The searcher of `queue`."""
    return GatedSearcher()


@pytest.fixture
async def queue(searcher: GatedSearcher) -> AsyncIterator[SearchQueue]:
    """A queue that renders the found text; `torn` cannot be rendered."""

    def render(ranking: Ranking) -> bytes:
        if ranking.generation == "torn":
            raise ValueError("no body")
        return ranking.generation.encode()

    opened = SearchQueue(cast(Searcher, searcher), render)
    yield opened
    searcher.gate.set()
    await opened.aclose()


def task(text: str) -> SearchTask:
    """A search for the text, wherever."""
    return SearchTask(Query(text), 1, cast(Generation, None), Access.everything())


async def begun(searcher: GatedSearcher) -> None:
    """Wait until a batch has begun."""
    assert await asyncio.to_thread(searcher.began.wait, 20)


async def test_a_search_that_comes_alone_begins_at_once(queue: SearchQueue, searcher: GatedSearcher) -> None:
    """There is no window to wait for."""
    assert await queue.search(task("a")) == b"a"
    assert await queue.search(task("b")) == b"b"
    assert searcher.batches == [["a"], ["b"]]


async def test_what_waits_is_the_next_batch(queue: SearchQueue, searcher: GatedSearcher) -> None:
    """At most 8 at a time, in order of their coming, each with its own answer."""
    searcher.gate.clear()
    first = asyncio.create_task(queue.search(task("first")))
    await begun(searcher)
    texts = [f"{number}" for number in range(20)]
    others = [asyncio.create_task(queue.search(task(text))) for text in texts]
    await asyncio.sleep(0)
    searcher.gate.set()
    assert await asyncio.gather(first, *others) == [text.encode() for text in ["first", *texts]]
    assert searcher.batches == [["first"], texts[:8], texts[8:16], texts[16:]]


async def test_what_its_caller_has_left_is_not_begun(queue: SearchQueue, searcher: GatedSearcher) -> None:
    """And what was begun ends without anyone to tell."""
    searcher.gate.clear()
    under_way = asyncio.create_task(queue.search(task("under way")))
    await begun(searcher)
    left, stays = (asyncio.create_task(queue.search(task(text))) for text in ("left", "stays"))
    await asyncio.sleep(0)
    for one in (left, under_way):
        one.cancel()
    await asyncio.wait([left, under_way])
    searcher.gate.set()
    assert await stays == b"stays"
    assert searcher.batches == [["under way"], ["stays"]]


async def test_every_caller_has_its_own_failure(queue: SearchQueue, searcher: GatedSearcher) -> None:
    """Whichever stage it comes from, those beside it have their answers, and the queue goes on."""
    searcher.gate.clear()
    first = asyncio.create_task(queue.search(task("first")))
    await begun(searcher)
    together = [asyncio.create_task(queue.search(task(text))) for text in ("bad filter", "good", "torn")]
    await asyncio.sleep(0)
    searcher.gate.set()
    found = await asyncio.gather(first, *together, return_exceptions=True)
    assert [found[0], found[2]] == [b"first", b"good"]
    assert isinstance(found[1], InvalidInput)
    assert isinstance(found[3], ValueError)
    for text in ("break", "halt"):
        with pytest.raises(RuntimeError):
            await queue.search(task(text))
    assert await queue.search(task("still there")) == b"still there"


async def test_a_closed_queue_answers_what_waits_and_takes_no_more(searcher: GatedSearcher) -> None:
    """The thread ends."""
    queue = SearchQueue(cast(Searcher, searcher), lambda ranking: ranking.generation.encode())
    searcher.gate.clear()
    waiting = [asyncio.create_task(queue.search(task(text))) for text in ("a", "b", "c")]
    await begun(searcher)
    closing = asyncio.create_task(queue.aclose())
    await asyncio.sleep(0)
    searcher.gate.set()
    assert await asyncio.gather(*waiting) == [b"a", b"b", b"c"]
    await closing
    with pytest.raises(Unavailable):
        await queue.search(task("late"))
