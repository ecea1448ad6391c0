"""How long answers are kept: those past their time are deleted, with their traces."""

from __future__ import annotations

from generate.answers import Answers
from ingest.clock import in_future
from ingest.keeper import HOUR_S, Keeper


class AnswerKeeper(Keeper):
    """Deletes answers older than `retention_days`: at the start, and once an hour."""

    def __init__(self, answers: Answers, *, retention_days: float) -> None:
        super().__init__("answer-keeper", every_s=HOUR_S)
        self._answers = answers
        self._retention_s = retention_days * 86_400

    def tend(self) -> None:
        self.forget_due()

    def forget_due(self) -> int:
        """Delete what is due now; returns how many answers."""
        return self._answers.forget_before(in_future(-self._retention_s))
