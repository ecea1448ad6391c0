"""Where a regression comes from: the asks that were lost are traced to the stage at which they part from the baseline.

First, are they lost? Those that lost most are asked again, ten times each: what fails no more often than the baseline
did is noise, and is left out. Then rung by rung, from what the rows themselves show to what only a replay shows:

1. the ask failed: `environment`;
2. a passage at the same place has other words than in the baseline, or what the baseline quoted is no longer in the
   documents: `corpus`;
3. gold evidence that the baseline had found is not found: `retrieval`;
4. the same confidence met another threshold: `policy`;
5. the baseline's answer is computed again from the baseline's own passages (retrieval frozen). It comes out as it was:
   `retrieval`. Else it is checked again from what had been generated (generator frozen): it stands, so `generation`; it
   does not, so `checks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy.stats import binom

from eval.gate.metrics import ItemKey
from eval.rows import EvaluationRow
from eval.summary import Item, items_of

Stage = Literal["environment", "corpus", "retrieval", "policy", "generation", "checks"]
RERUNS = 10
"""Fresh asks of each flagged item."""

_FLAGGED_MAX = 20
_REPLAYS_MAX = 20
_NOISE_LEVEL = 0.05
_CONFIDENCE_TOLERANCE = 1e-3


class Replays(Protocol):
    """Gives an answer of the baseline again with today's parts; None where that is not possible any more."""

    def quotes_stand(self, row: EvaluationRow) -> bool | None:
        """Whether the documents still hold what the answer quoted."""
        ...

    def from_candidates(self, row: EvaluationRow) -> bool | None:
        """Whether the answer comes out as it was, from the passages found then."""
        ...

    def from_generation(self, row: EvaluationRow) -> bool | None:
        """Whether the answer stands as it did, from the sentences generated then."""
        ...


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The stage most lost items part at, the share of each stage among them, and how many were looked at; `noise` are
    items that fresh asks cleared.
    """

    stage: Stage | None
    shares: Mapping[Stage, float]
    looked_at: int
    items: Mapping[str, Stage]
    noise: tuple[str, ...] = ()


def flagged(baseline: Sequence[EvaluationRow], tonight: Sequence[EvaluationRow]) -> list[ItemKey]:
    """The items that lost most of their success, at most twenty: those to be asked again."""
    return list(_lost(_by_key(baseline), _by_key(tonight)))[:_FLAGGED_MAX]


def diagnose(
    baseline: Sequence[EvaluationRow],
    tonight: Sequence[EvaluationRow],
    replays: Replays | None,
    reruns: Sequence[EvaluationRow] = (),
) -> Diagnosis:
    """Look at the items that lost most; without `replays` the last rung is left out, and its items are unlocated.

    `reruns` are fresh asks of flagged items.
    """
    old, again = _by_key(baseline), _by_key(reruns)
    lost = _lost(old, _by_key(tonight))
    noise = [key for key in lost if key in again and _is_noise(old[key], again[key])]
    budget = _Budget(replays)
    stages = {
        f"{key[0]}#{key[1]}": stage
        for key, (was, now) in lost.items()
        if key not in noise and (stage := _stage(was, now, budget))
    }
    counts = Counter(stages.values())
    total = sum(counts.values())
    shares = {stage: round(count / total, 4) for stage, count in counts.most_common()}
    named = tuple(f"{question_id}#{phrasing}" for question_id, phrasing in noise)
    return Diagnosis(counts.most_common(1)[0][0] if counts else None, shares, total, stages, named)


def _by_key(rows: Sequence[EvaluationRow]) -> dict[ItemKey, Item]:
    return {(item.question_id, item.phrasing): item for item in items_of(rows)}


def _is_noise(old: Item, again: Item) -> bool:
    """The fresh asks fail no more often than the baseline's rate (Jeffreys' estimate) explains: P >= 5 %."""
    before = sum(row.success is False for row in old.rows)
    failures = sum(row.success is False for row in again.rows)
    rate = (before + 0.5) / (len(old.rows) + 1)
    return float(binom.sf(failures - 1, len(again.rows), rate)) > _NOISE_LEVEL


class _Budget:
    """Replays cost as much as asks: only the first twenty items are replayed."""

    def __init__(self, replays: Replays | None) -> None:
        self.replays = replays
        self.left = _REPLAYS_MAX


def _lost(
    old: Mapping[ItemKey, Item], new: Mapping[ItemKey, Item]
) -> dict[ItemKey, tuple[EvaluationRow, EvaluationRow]]:
    """For each item whose success fell, most first: a successful row of the baseline and an unsuccessful one since."""
    falls: list[tuple[float, ItemKey, EvaluationRow, EvaluationRow]] = []
    for key, item in new.items():
        good = [row for row in old[key].rows if row.success] if key in old else []
        bad = [row for row in item.rows if row.success is False]
        if good and bad:
            fall = len(good) / len(old[key].rows) - (1 - len(bad) / len(item.rows))
            if fall > 0:
                falls.append((-fall, key, good[0], bad[0]))
    return {key: (was, now) for _, key, was, now in sorted(falls, key=lambda one: one[:2])}


def _stage(was: EvaluationRow, now: EvaluationRow, budget: _Budget) -> Stage | None:
    if now.decision == "error":
        return "environment"
    if _words_changed(was, now) or (budget.replays is not None and budget.replays.quotes_stand(was) is False):
        return "corpus"
    if was.evidence_found and not now.evidence_found:
        return "retrieval"
    if _threshold_moved(was, now):
        return "policy"
    if budget.replays is None or budget.left == 0:
        return None
    budget.left -= 1
    return _replayed(was, budget.replays)


def _replayed(was: EvaluationRow, replays: Replays) -> Stage | None:
    same = replays.from_candidates(was)
    if same is None:
        return None
    if same:
        return "retrieval"
    stands = replays.from_generation(was)
    return "checks" if stands is False else "generation"


def _words_changed(was: EvaluationRow, now: EvaluationRow) -> bool:
    """A passage of the same document at the same place has another checksum."""
    before = dict(passage.rsplit("#", 1) for passage in was.retrieved if "#" in passage)
    after = dict(passage.rsplit("#", 1) for passage in now.retrieved if "#" in passage)
    return any(after[place] != checksum for place, checksum in before.items() if place in after)


def _threshold_moved(was: EvaluationRow, now: EvaluationRow) -> bool:
    """The threshold is another, and it is why the decision is another: at the old one it would have been as before."""
    if was.decision == now.decision or None in (was.threshold, now.threshold, was.confidence, now.confidence):
        return False
    assert was.threshold is not None
    assert now.threshold is not None
    assert was.confidence is not None
    assert now.confidence is not None
    moved = abs(was.threshold - now.threshold) > _CONFIDENCE_TOLERANCE
    between = min(was.threshold, now.threshold) <= now.confidence <= max(was.threshold, now.threshold)
    return moved and between
