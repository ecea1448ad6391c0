"""A circuit breaker: after some failures in a row nobody waits for a server that is down, until one call succeeds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ingest.errors import Unavailable


class CircuitBreaker:
    """Closed; open for `open_s` seconds after `failures_max` failures in a row; then half open: one call tries first.

    Thread-safe.
    """

    def __init__(self, *, failures_max: int, open_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures_max = failures_max
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._closed_again = 0.0
        self._trying = False

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Raises `Unavailable` (`generator_down`) at once while the circuit is open."""
        attempt = Attempt(self, trial=self._enter())
        try:
            yield attempt
        finally:
            attempt.settle(None)

    def _enter(self) -> bool:
        with self._lock:
            if self._failures < self._failures_max:
                return False
            wait = self._closed_again - self._clock()
            if wait > 0 or self._trying:
                raise Unavailable(
                    f"the language model server failed {self._failures} times in a row; it is tried again in "
                    f"{max(wait, 0):.1f} s, until then searches work and questions do not",
                    code="generator_down",
                )
            self._trying = True
            return True

    def _settle(self, succeeded: bool | None, *, trial: bool) -> None:
        with self._lock:
            if trial:
                self._trying = False
            if succeeded:
                self._failures = 0
            elif succeeded is False:
                self._failures += 1
                self._closed_again = self._clock() + self._open_s


class Attempt:
    """One call under the breaker. A failure counts also after a success: the server broke off."""

    def __init__(self, breaker: CircuitBreaker, *, trial: bool) -> None:
        self._breaker = breaker
        self._trial = trial

    def settle(self, succeeded: bool | None) -> None:
        """Say how it went; None (cancelled, or not the server's fault) counts for nothing."""
        self._breaker._settle(succeeded, trial=self._trial)
        self._trial = False
