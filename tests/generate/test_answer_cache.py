"""Answers given again, and computations shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from api.bootstrap import Service
from generate.answer import Answer, Question
from generate.pipeline import ComputationEvent, Task
from ingest.errors import Unavailable
from retrieve import Access
from tests.ingestion import ingest_texts

TEXT = "# Fulmar\n\nMV Fulmar stops at 34 knots. The master decides at 05:00.\n"
QUESTION = "At what wind does MV Fulmar stop?"


@pytest.fixture
def filled(service: Service) -> Service:
    ingest_texts(service, {"fulmar.md": TEXT})
    return service


class Counted:
    """Counts the computations of a service; each waits until it is let go."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = self.cancelled = 0
        self.go = asyncio.Event()
        self.go.set()
        self.entered = asyncio.Event()
        compute = service.answerer.compute

        async def counted(task: Task) -> AsyncIterator[ComputationEvent]:
            self.begun += 1
            self.entered.set()
            try:
                await self.go.wait()
                async for event in compute(task):
                    yield event
            except asyncio.CancelledError:
                self.cancelled += 1
                raise

        monkeypatch.setattr(service.answerer, "compute", counted)


@pytest.fixture
async def counted(filled: Service, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(filled, monkeypatch)


async def ask(service: Service, text: str = QUESTION, *, cache: bool = True, tags: str | None = None) -> Answer:
    collection = service.collections.get("default")
    return await service.answerer.ask(
        Question(text, cache=cache),
        collection=collection,
        generation=collection.live_generation,
        access=Access(frozenset(tags.split()) if tags is not None else None),
        key_id=None,
    )


async def test_an_identical_question_is_computed_once(filled: Service, counted: Counted) -> None:
    """The same answer under its own id, stored with a trace that says so; not with `cache` off or other rights."""
    first, second = await ask(filled), await ask(filled)
    assert counted.begun == 1
    assert first.answer_id != second.answer_id
    assert (first.text, first.citations) == (second.text, second.citations)
    assert [filled.answers.get(one.answer_id).trace["cached"] for one in (first, second)] == [False, True]
    await ask(filled, cache=False)
    await ask(filled, tags="staff")
    await ask(filled, "Does MV Fulmar stop?")
    assert counted.begun == 4


async def test_a_change_of_the_evidence_makes_a_new_answer(filled: Service, counted: Counted) -> None:
    """A new version, and a deletion from the moment it is asked for."""
    await ask(filled)
    await asyncio.to_thread(ingest_texts, filled, {"fulmar.md": TEXT.replace("34", "36")})
    assert "36" in (await ask(filled)).text  # type: ignore[operator]
    collection = filled.collections.get("default")
    filled.deletion.delete_documents(collection, ["fulmar.md"], key_id=None)
    assert (await ask(filled)).status == "refused"
    assert counted.begun == 3


async def test_questions_under_way_share_one_computation(filled: Service, counted: Counted) -> None:
    """Each gets an answer of its own; who leaves does not take the others along."""
    counted.go.clear()
    waiting = [asyncio.create_task(ask(filled)) for _ in range(3)]
    await counted.entered.wait()
    await asyncio.sleep(0.1)
    waiting[0].cancel()
    await asyncio.sleep(0.01)
    counted.go.set()
    answers = await asyncio.gather(*waiting[1:])
    assert counted.begun == 1
    assert counted.cancelled == 0
    assert answers[0].answer_id != answers[1].answer_id


async def test_when_all_have_left_the_computation_ends(filled: Service, counted: Counted) -> None:
    """Nobody waits for it any more."""
    counted.go.clear()
    waiting = [asyncio.create_task(ask(filled)) for _ in range(2)]
    await counted.entered.wait()
    await asyncio.sleep(0.1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert counted.cancelled == 1


@pytest.mark.parametrize("begun", [False, True])
async def test_a_computation_stopped_from_outside_tells_everyone(
    filled: Service, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the service, also before its first step; the next question is computed anew."""
    cache = filled.answerer._cache
    assert cache is not None
    stopped: list[asyncio.Task[None]] = []

    async def stopping(task: Task) -> AsyncIterator[ComputationEvent]:
        await asyncio.sleep(0.05)
        for flight in cache._flights.values():
            assert flight.task is not None
            stopped.append(flight.task)
            flight.task.cancel()
        await asyncio.sleep(5)
        yield

    monkeypatch.setattr(filled.answerer, "compute", stopping)
    if not begun:
        create = asyncio.create_task

        def stillborn(work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
            task = create(work, **options)
            if work.__name__ == "_fly":
                stopped.append(task)
                task.cancel()
            return task

        monkeypatch.setattr("generate.answer_cache.asyncio.create_task", stillborn)
    async with asyncio.timeout(3):
        results = await asyncio.gather(ask(filled), ask(filled), return_exceptions=True)
    assert stopped
    assert [getattr(one, "code", one) for one in results] == ["computation_stopped"] * 2
    monkeypatch.undo()
    assert (await ask(filled)).text


async def test_an_error_is_told_to_everyone_and_not_remembered(
    filled: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next question tries again."""
    compute = filled.answerer.compute

    async def failing(task: Task) -> AsyncIterator[ComputationEvent]:
        await asyncio.sleep(0.05)
        raise Unavailable("the model went away; try again")
        yield

    monkeypatch.setattr(filled.answerer, "compute", failing)
    results = await asyncio.gather(ask(filled), ask(filled), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in results)
    monkeypatch.setattr(filled.answerer, "compute", compute)
    assert (await ask(filled)).text
