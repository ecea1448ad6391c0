"""Chores that nobody asks for: done now and then on a thread of their own, for as long as the service runs."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from ingest.errors import CitewellError

HOUR_S = 3_600.0
_LOG = logging.getLogger(__name__)


class Keeper(ABC):
    """Calls `tend` `first_after_s` after the start, and `every_s` seconds after each end of it, until it is closed.

    What fails (a full disk, say) is logged under `name`, and tried again the next time; what nobody foresaw, too, with
    its traceback.
    """

    def __init__(self, name: str, *, every_s: float, first_after_s: float = 0.0) -> None:
        self._every_s = every_s
        self._first_after_s = first_after_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    @abstractmethod
    def tend(self) -> None:
        """Do what is due; what takes long looks at `is_closed` between its steps."""

    @property
    def is_closed(self) -> bool:
        """The service is shutting down."""
        return self._closed.is_set()

    def rest(self, seconds: float) -> None:
        """Wait so long, or until the service shuts down."""
        self._closed.wait(seconds)

    def start(self) -> None:
        """Begin. Once only."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the end of what is being done. Twice, or before a start, does no harm."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _keep(self) -> None:
        self.rest(self._first_after_s)
        while not self.is_closed:
            try:
                self.tend()
            except CitewellError as failure:
                _LOG.warning("%s tries again in %g s: %s", self._thread.name, self._every_s, failure)
            except Exception:  # noqa: BLE001 - one surprise must not end the chore until the next start
                _LOG.exception("%s failed, and tries again in %g s", self._thread.name, self._every_s)
            self.rest(self._every_s)
