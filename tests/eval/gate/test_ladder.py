"""A lost ask is traced to its stage."""

from __future__ import annotations

from typing import Any

import pytest

from eval.gate import diagnose, flagged
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


def test_what_comes_back_when_asked_again_is_noise() -> None:
    """Of two that fell tonight one fails all ten fresh asks; the other fails one of ten, as it always did."""
    flaky = run(2, 20, lambda q, r: WRONG if (q, r % 10) == (1, 0) else {})
    tonight = run(2, 3, lambda q, r: {**WRONG, "evidence_found": False})
    again = run(2, 10, lambda q, r: WRONG if q == 0 or r == 0 else {})
    assert set(flagged(flaky, tonight)) == {("q0", 0), ("q1", 0)}
    found = diagnose(flaky, tonight, None, again)
    assert (found.items, found.noise) == ({"q0#0": "retrieval"}, ("q1#0",))


def test_at_most_twenty_items_are_asked_again() -> None:
    """Those that lost most come first."""
    tonight = run(50, 3, lambda q, r: WRONG if q < 30 or r == 0 else {})
    keys = flagged(run(50, 2), tonight)
    assert len(keys) == 20
    assert {key[0] for key in keys} <= {f"q{n}" for n in range(30)}
