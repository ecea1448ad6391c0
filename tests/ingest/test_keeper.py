"""Chores are repeated, survive their failures, and end with the service."""

from __future__ import annotations

import threading

import pytest

from ingest.errors import StorageFull
from ingest.keeper import Keeper


class Counting(Keeper):
    """Counts how often it was called; the first time it fails."""

    def __init__(self, failure: Exception | None = None, *, first_after_s: float = 0.0) -> None:
        super().__init__("counting", every_s=0.001, first_after_s=first_after_s)
        self._failure = failure or StorageFull("no room")
        self.calls = 0
        self.third = threading.Event()

    def tend(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise self._failure
        if self.calls == 3:
            self.third.set()


@pytest.mark.parametrize("failure", [StorageFull("no room"), OSError("gone"), KeyError("unforeseen")])
def test_a_failure_does_not_end_it(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The next time may be better; it is logged once."""
    keeper = Counting(failure)
    keeper.start()
    assert keeper.third.wait(20)
    keeper.close()
    calls = keeper.calls
    assert not any(thread.name == "counting" for thread in threading.enumerate())
    assert keeper.calls == calls
    assert len([record for record in caplog.records if record.name == "ingest.keeper"]) == 1


def test_closing_ends_a_rest() -> None:
    """Nobody waits an hour for a shutdown; what has not begun does not begin."""
    keeper = Counting(first_after_s=3_600)
    keeper.start()
    keeper.close()
    assert keeper.is_closed
    assert keeper.calls == 0
