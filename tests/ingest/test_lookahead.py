"""Preparing ahead: in order, side by side, and within what may wait in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ingest import lookahead
from ingest.errors import Unavailable
from ingest.lookahead import Lookahead
from ingest.parsing.document import ParsedDocument
from ingest.prepared import Prepared, Task
from tests.ingest.support import wait_for


def tasks(count: int) -> Iterator[Task]:
    """Tasks with the numbers from 0."""
    return iter([Task(n, n, n, str(n), "", 0, str(n), "text/plain", None, {}) for n in range(count)])


def of_length(chars: int, task: Task) -> Prepared:
    """A document of so many characters, without chunks."""
    return Prepared(task, ParsedDocument("x" * chars, None))


def names(group: list[Prepared]) -> list[str]:
    """Which documents a group holds."""
    return [prepared.task.document_id for prepared in group]


def test_documents_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever is ready first; groups end at their size, and more tasks may follow."""
    monkeypatch.setattr(lookahead, "GROUP_DOCUMENTS", 3)
    first = threading.Event()

    def prepare(task: Task) -> Prepared:
        assert task.document_id != "0" or first.wait(10)
        return of_length(1, task)

    with Lookahead(prepare, tasks(5), workers=3) as ahead:
        assert not ahead.is_ready
        first.set()
        taken = names(ahead.take())
        while ahead:
            taken += names(ahead.take())
        assert taken == list("01234")
        ahead.restart(tasks(1))
        assert names(ahead.take()) == ["0"]
        assert not ahead


def test_no_more_is_held_in_memory_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two documents fill the memory; the third is begun when one of them has been given back."""
    monkeypatch.setattr(lookahead, "CHARS_HELD_MAX", 20)
    monkeypatch.setattr(lookahead, "GROUP_DOCUMENTS", 1)
    begun: list[str] = []

    def prepare(task: Task) -> Prepared:
        begun.append(task.document_id)
        return of_length(10, task)

    with Lookahead(prepare, tasks(4), workers=1) as ahead:
        group = ahead.take()
        wait_for(lambda: ahead._held == 20)
        assert begun == ["0", "1"]
        ahead.give_back(group)
        wait_for(lambda: begun == ["0", "1", "2"])


def test_leaving_ends_what_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled job does not hang, and an error of the service reaches the job."""
    monkeypatch.setattr(lookahead, "CHARS_HELD_MAX", 1)

    def prepare(task: Task) -> Prepared:
        if task.document_id == "1":
            raise Unavailable("closed")
        return of_length(10, task)

    with Lookahead(prepare, tasks(2), workers=1) as ahead:
        ahead.give_back(ahead.take())
        with pytest.raises(Unavailable):
            ahead.take()
    with Lookahead(prepare, tasks(100), workers=2) as ahead:
        ahead.take()
