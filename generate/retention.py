"""How long answers are kept: those past their time are deleted, with their traces."""

from __future__ import annotations

import logging
import threading

from generate.answers import Answers
from ingest.clock import in_future
from ingest.errors import CitewellError

_LOG = logging.getLogger(__name__)
_LOOK_S = 3_600.0


class AnswerKeeper:
    """Deletes answers older than `retention_days`: at the start, and once an hour."""

    def __init__(self, answers: Answers, *, retention_days: float) -> None:
        self._answers = answers
        self._retention_s = retention_days * 86_400
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="answer-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def forget_due(self) -> int:
        """Delete what is due now; returns how many answers."""
        return self._answers.forget_before(in_future(-self._retention_s))

    def _keep(self) -> None:
        while not self._closed.is_set():
            try:
                self.forget_due()
            except CitewellError as failure:  # a full disk, say: the next hour may be better
                _LOG.warning("old answers are kept for now: %s", failure)
            self._closed.wait(_LOOK_S)
