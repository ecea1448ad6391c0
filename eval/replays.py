"""The gate's ladder on stored answers: replays of the baseline with today's parts."""

from __future__ import annotations

import asyncio

from eval.rows import EvaluationRow
from generate.answers import Answers
from generate.replay import Replayer, Stage
from ingest.errors import CitewellError
from retrieve import Access


class StoredReplays:
    """Replays answers that the catalogue still holds. Not to be used on an event loop."""

    def __init__(self, answers: Answers, replayer: Replayer, access: Access) -> None:
        self._answers = answers
        self._replayer = replayer
        self._access = access

    def from_candidates(self, row: EvaluationRow) -> bool | None:
        return self._same(row, "candidates")

    def from_generation(self, row: EvaluationRow) -> bool | None:
        return self._same(row, "generation")

    def _same(self, row: EvaluationRow, stage: Stage) -> bool | None:
        """None when the answer was forgotten or deleted, or its generation is gone."""
        if row.answer_id is None:
            return None
        try:
            stored = self._answers.get(row.answer_id)
            return asyncio.run(self._replayer.replay(stored, stage, access=self._access)).same
        except CitewellError:
            return None
