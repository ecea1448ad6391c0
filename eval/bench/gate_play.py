"""Nights played on what was observed: every ask draws its row, by a seed, from those that it may have."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eval.bench.observed import Observed, System
from eval.bench.sampling import seeded_pick
from eval.gate.metrics import ItemKey
from eval.rows import EvaluationRow
from eval.summary import RATES, Ratio

TEMPERATURE = 1.0
"""Of the generator that draws: the reader's logits as they are."""

ERRORS = 0.3
"""Share of the asks that fail where some do."""

LIVE_NIGHT = "live"
"""Name of the night of the live asks."""

REPLICATES = 3


@dataclass(frozen=True, slots=True)
class Night:
    """What holds for the chosen questions in place of the sound system; `errors` is the chance that an ask fails."""

    observed: Mapping[str, Observed]
    chosen: frozenset[str]
    errors: float = 0.0


class PlayedReplays:
    """The ladder's replays as they were observed on the planted system."""

    def __init__(self, system: System, chosen: frozenset[str]) -> None:
        self._system, self._chosen = system, chosen

    def from_candidates(self, row: EvaluationRow) -> bool | None:
        return self._replays(row)[0]

    def from_generation(self, row: EvaluationRow) -> bool | None:
        return self._replays(row)[1]

    def quotes_stand(self, row: EvaluationRow) -> bool | None:
        return self._replays(row)[2]

    def _replays(self, row: EvaluationRow) -> tuple[bool | None, bool | None, bool | None]:
        if row.question_id not in self._chosen:
            return True, True, True
        return self._system.replays.get(row.answer_id or "", (True, True, True))  # only what was harmed was replayed


def baseline_rows(starts: Sequence[System], count: int, temperature: float, seed: str) -> list[EvaluationRow]:
    """`count` replicates of every question, dealt out over the starts of the sound system."""
    return [
        played(starts[replicate % len(starts)].observed[question_id], temperature, 0.0, seed, replicate)
        for question_id in starts[0].observed
        for replicate in range(count)
    ]


def night_rows(
    start: System,
    night: Night | None,
    temperature: float,
    seed: str,
    replicates: int = REPLICATES,
    only: Sequence[ItemKey] | None = None,
) -> list[EvaluationRow]:
    """Replicates of every question (of some only, where they are named) in one start; on a `night`, its system answers
    the chosen questions.
    """
    rows = []
    asked = start.observed if only is None else [question_id for question_id, _ in only]
    for question_id in asked:
        hit = night is not None and question_id in night.chosen
        observed = night.observed[question_id] if hit and night is not None else start.observed[question_id]
        errors = night.errors if hit and night is not None else 0.0
        rows += [played(observed, temperature, errors, seed, replicate) for replicate in range(replicates)]
    return rows


def draw_seed(night: str, question_id: str, replicate: int) -> str:
    """What the draw of one ask is seeded with, played or live."""
    return f"{night} {question_id} {replicate}"


def expected(observed: Observed, metric: str, temperature: float, errors: float = 0.0) -> Ratio:
    """The exact expectation of an ask's part in a rate: numerator and denominator; None where it never counts."""
    part: Callable[[EvaluationRow], Ratio] = RATES[metric]
    parts = [(chance, part(row)) for chance, row in observed.outcomes(temperature, errors)]
    counted = [(chance, one) for chance, one in parts if one is not None]
    if not counted:
        return None
    return sum(chance * one[0] for chance, one in counted), sum(chance * one[1] for chance, one in counted)


def level(ratios: Sequence[Ratio]) -> float:
    """The rate that the parts make; 0 where nothing counts."""
    known = [one for one in ratios if one is not None]
    total = sum(one[1] for one in known)
    return sum(one[0] for one in known) / total if total else 0.0


def fails(errors: float, night: str, question_id: str, replicate: int) -> bool:
    """Whether this ask is one that fails."""
    seed = zlib.crc32(f"{draw_seed(night, question_id, replicate)} fails".encode())
    return random.Random(seed).random() < errors  # noqa: S311 - not a secret


def played(observed: Observed, temperature: float, errors: float, night: str, replicate: int) -> EvaluationRow:
    """The row of one ask of a night; it keeps the number of the replicate that was observed."""
    seed = draw_seed(night, observed.question_id, replicate)
    row = observed.plain
    if temperature > 0:
        row = observed.drawn[seeded_pick(temperature, seed)(observed.logits)] if observed.logits else observed.drawn[0]
    if observed.failed is not None and fails(errors, night, observed.question_id, replicate):
        row = observed.failed
    return row
