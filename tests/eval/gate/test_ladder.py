"""A lost ask is traced to its stage."""

from __future__ import annotations

from typing import Any

import pytest

from eval.gate import diagnose
from eval.rows import EvaluationRow
from tests.eval.made_rows import FAILED, REFUSED, WRONG, run


class Replays:
    """Answers every replay in the same way, and counts them."""

    def __init__(self, candidates: bool | None, generation: bool | None = None, quotes: bool | None = True) -> None:
        self._candidates, self._generation, self._quotes = candidates, generation, quotes
        self.asked = 0

    def quotes_stand(self, row: EvaluationRow) -> bool | None:
        return self._quotes

    def from_candidates(self, row: EvaluationRow) -> bool | None:
        self.asked += 1
        return self._candidates

    def from_generation(self, row: EvaluationRow) -> bool | None:
        return self._generation


@pytest.mark.parametrize(
    ("fields", "replays", "stage"),
    [
        (FAILED, None, "environment"),
        ({**WRONG, "retrieved": ("a.txt@0-10#ffffffff",)}, None, "corpus"),
        ({**REFUSED, "evidence_found": False}, None, "retrieval"),
        ({**REFUSED, "confidence": 0.9, "threshold": 0.95}, None, "policy"),
        ({**REFUSED, "evidence_found": False}, Replays(None, quotes=False), "corpus"),
        (WRONG, Replays(True), "retrieval"),
        (WRONG, Replays(False, True), "generation"),
        (WRONG, Replays(False, False), "checks"),
        (WRONG, Replays(None), None),
        (WRONG, None, None),
    ],
)
def test_each_rung_names_its_stage(fields: dict[str, Any], replays: Replays | None, stage: str | None) -> None:
    """From what the rows show to what only a replay shows."""
    found = diagnose(run(4, 2), run(4, 2, lambda q, r: fields if q == 0 else {}), replays)
    assert found.stage == stage
    assert found.items == ({"q0#0": stage} if stage else {})


def test_the_stage_of_most_lost_items_is_named() -> None:
    """Two lost by retrieval, one by an error."""
    fields = [{**REFUSED, "evidence_found": False}, {**REFUSED, "evidence_found": False}, FAILED, {}]
    found = diagnose(run(4, 2), run(4, 2, lambda q, r: fields[q]), None)
    assert (found.stage, found.looked_at) == ("retrieval", 3)
    assert found.shares == {"retrieval": 0.6667, "environment": 0.3333}


def test_nothing_lost_is_nothing_to_locate() -> None:
    """And replays are bounded."""
    assert diagnose(run(4, 2), run(4, 2), None).stage is None
    replays = Replays(True)
    diagnose(run(50, 2), run(50, 2, lambda q, r: WRONG), replays)
    assert replays.asked == 20
