"""The circuit breaker."""

from __future__ import annotations

import pytest

from generate.llm import CircuitBreaker
from ingest.errors import Unavailable


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: CircuitBreaker) -> None:
    with breaker.attempt() as attempt:
        attempt.settle(False)


def test_it_opens_after_failures_in_a_row_and_tries_one_call_later() -> None:
    """Open: nobody waits. Half open: one call, the others are turned away until it has succeeded."""
    clock = Clock()
    breaker = CircuitBreaker(failures_max=2, open_s=10, clock=clock)
    fail(breaker)
    with breaker.attempt() as attempt:
        attempt.settle(True)
    fail(breaker)
    fail(breaker)
    with pytest.raises(Unavailable) as caught, breaker.attempt():
        pass
    assert caught.value.code == "generator_down"
    clock.now = 11
    with breaker.attempt() as trial:
        with pytest.raises(Unavailable), breaker.attempt():
            pass
        trial.settle(True)
        with breaker.attempt():
            pass


def test_a_trial_that_fails_opens_it_again_and_one_that_is_given_up_does_not() -> None:
    """A client that leaves says nothing about the server."""
    clock = Clock()
    breaker = CircuitBreaker(failures_max=1, open_s=10, clock=clock)
    fail(breaker)
    clock.now = 11
    with breaker.attempt():
        pass
    fail(breaker)
    with pytest.raises(Unavailable), breaker.attempt():
        pass
