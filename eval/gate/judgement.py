"""The verdict: declared metrics against rerun noise, hard breaks, must-pass items, the error limit.

A metric blocks when Holm's p is below the level, fresh asks confirm it, and the change is no smaller than the margin.
An improvement never makes up for another metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.gate.metrics import GATE_METRICS, ItemKey, Tested, test_metric
from eval.gate.noise import hard_break_chance, hard_break_p, holm
from eval.rows import EvaluationRow
from eval.settings import EvalSettings
from eval.summary import Item, interval_of, items_of

Verdict = Literal["pass", "fail", "no_baseline", "not_comparable", "incomplete"]
LineVerdict = Literal["pass", "fail", "suspected", "below_margin", "not_confirmed"]
_BREAKS_MIN = 2
_BREAK_LEVEL = 0.01


@dataclass(frozen=True, slots=True)
class GateLine:
    """One declared metric. `delta` = value - baseline with its 95 % interval over clusters; `p` is Holm's, against
    harm beyond rerun noise; `confirmation_p` that of the fresh asks.
    """

    metric: str
    baseline: float
    value: float
    delta: float
    low: float | None
    high: float | None
    z: float
    p: float
    confirmation_p: float | None
    verdict: LineVerdict


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict with its reasons in words; `blamed` is the metric that failed nearest to the cause.

    `wants_confirmation`: something is suspected, and fresh asks have to decide. `broken` and `must_pass_failed` name
    items as `question_id#phrasing`.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    lines: tuple[GateLine, ...]
    blamed: str | None
    wants_confirmation: bool
    broken: tuple[str, ...]
    must_pass_failed: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def without_comparison(cls, verdict: Verdict, *reasons: str) -> GateResult:
        """A result where nothing could be compared."""
        return cls(verdict, reasons, (), None, False, (), ())


def judge(
    baseline: Sequence[EvaluationRow],
    tonight: Sequence[EvaluationRow],
    confirmation: Sequence[EvaluationRow] | None,
    *,
    must_pass: frozenset[str],
    settings: EvalSettings,
) -> GateResult:
    """Compare tonight's asks with the baseline's; `confirmation` are fresh asks of the same items, None before.

    Raises nothing: too small a baseline is a verdict (`incomplete`).
    """
    old, new = _by_key(baseline), _by_key(tonight)
    fresh = None if confirmation is None else _by_key(confirmation)
    thin = sum(len(item.rows) < 2 for item in old.values())
    if not old or thin:
        return GateResult.without_comparison(
            "incomplete", f"the baseline has a single replicate of {thin} items: run it with more repeats, bless again"
        )
    lines = _lines(old, new, fresh, settings)
    broken, break_p, stable = _breaks(old, new, fresh)
    failing = _must_pass(new, fresh, must_pass)
    errors = _error_rate([*tonight, *(confirmation or ())])
    reasons = [_told(line) for line in lines if line.verdict == "fail"]
    hard = len(broken) >= _BREAKS_MIN and break_p <= _BREAK_LEVEL and fresh is not None
    if hard:
        reasons.append(f"{len(broken)} of {stable} stable questions fail every time (p = {break_p:.1g})")
    if failing and fresh is not None:
        reasons.append(f"must-pass questions fail: {', '.join(sorted(failing))}")
    if errors > settings.gate_error_rate_max:
        reasons.append(f"{errors:.1%} of the asks failed; the limit is {settings.gate_error_rate_max:.1%}")
    suspected = any(line.verdict == "suspected" for line in lines)
    wants = fresh is None and (suspected or bool(broken) or bool(failing))
    return GateResult(
        verdict="fail" if reasons else "pass",
        reasons=tuple(reasons),
        lines=tuple(lines),
        blamed=_blamed(lines, errors > settings.gate_error_rate_max, hard or bool(failing)) if reasons else None,
        wants_confirmation=wants,
        broken=tuple(sorted(broken)),
        must_pass_failed=tuple(sorted(failing)),
        warnings=_warnings(old),
    )


def _lines(
    old: Mapping[ItemKey, Item],
    new: Mapping[ItemKey, Item],
    fresh: Mapping[ItemKey, Item] | None,
    settings: EvalSettings,
) -> list[GateLine]:
    tested = [found for metric in GATE_METRICS if (found := test_metric(metric, old, new)) is not None]
    adjusted = holm([one.test.p for one in tested])
    return [_line(one, p, old, fresh, settings) for one, p in zip(tested, adjusted, strict=True)]


def _line(
    one: Tested, p: float, old: Mapping[ItemKey, Item], fresh: Mapping[ItemKey, Item] | None, settings: EvalSettings
) -> GateLine:
    again = None if fresh is None else test_metric(one.metric, old, fresh)
    confirmation_p = None if again is None else again.test.p
    changes = [one.value - one.baseline] + ([] if again is None else [again.value - again.baseline])
    harm = -float(np.mean(changes)) if one.metric.higher_is_better else float(np.mean(changes))
    low, high = interval_of(one.changes)
    return GateLine(
        metric=one.metric.name,
        baseline=one.baseline,
        value=one.value,
        delta=one.value - one.baseline,
        low=low,
        high=high,
        z=one.test.z,
        p=p,
        confirmation_p=confirmation_p,
        verdict=_line_verdict(p, confirmation_p, harm, fresh is not None, settings),
    )


def _line_verdict(
    p: float, confirmation_p: float | None, harm: float, confirmed: bool, settings: EvalSettings
) -> LineVerdict:
    if p > settings.gate_level:
        return "pass"
    if harm < settings.gate_margin:
        return "below_margin"
    if not confirmed:
        return "suspected"
    if confirmation_p is None or confirmation_p > settings.gate_confirmation_level:
        return "not_confirmed"
    return "fail"


def _breaks(
    old: Mapping[ItemKey, Item], new: Mapping[ItemKey, Item], fresh: Mapping[ItemKey, Item] | None
) -> tuple[list[str], float, int]:
    """Stable items (success in every baseline replicate) that fail every ask since; how surprising; how many stable."""
    counts = {key: (_successes(item), len(item.rows)) for key, item in old.items() if key in new}
    stable = [key for key, (good, total) in counts.items() if good == total]
    near = sum(good == total - 1 for good, total in counts.values())
    asked = {key: new[key].rows + (fresh[key].rows if fresh and key in fresh else ()) for key in stable}
    broken = [key for key in stable if all(row.success is False for row in asked[key])]
    if not broken:
        return [], 1.0, len(stable)
    replicates = min(total for _, total in counts.values())
    chance = hard_break_chance(len(stable), near, replicates, min(len(asked[key]) for key in broken))
    return [_named(key) for key in broken], hard_break_p(len(broken), len(stable), chance), len(stable)


def _must_pass(
    new: Mapping[ItemKey, Item], fresh: Mapping[ItemKey, Item] | None, must_pass: frozenset[str]
) -> list[str]:
    """Must-pass items that failed an ask tonight and again in the confirmation."""
    failed = [key for key, item in new.items() if key[0] in must_pass and _fails(item)]
    if fresh is not None:
        failed = [key for key in failed if key in fresh and _fails(fresh[key])]
    return [_named(key) for key in failed]


def _blamed(lines: Sequence[GateLine], errors: bool, hard: bool) -> str | None:
    if errors:
        return "error_rate"
    failed = next((line.metric for line in lines if line.verdict == "fail"), None)
    return failed or ("task_success" if hard else None)


def _warnings(old: Mapping[ItemKey, Item]) -> tuple[str, ...]:
    starts = {row.process for item in old.values() for row in item.rows}
    if len(starts) < 2:
        return ("the baseline is from one start of the service: what differs between starts is not known",)
    return ()


def _told(line: GateLine) -> str:
    return f"{line.metric} went from {line.baseline:.3f} to {line.value:.3f} (p = {line.p:.1g}, confirmed)"


def _by_key(rows: Sequence[EvaluationRow]) -> dict[ItemKey, Item]:
    return {(item.question_id, item.phrasing): item for item in items_of(rows)}


def _successes(item: Item) -> int:
    return sum(row.success is True for row in item.rows)


def _fails(item: Item) -> bool:
    return any(row.success is False for row in item.rows)


def _error_rate(rows: Sequence[EvaluationRow]) -> float:
    return sum(row.decision == "error" for row in rows) / len(rows) if rows else 0.0


def _named(key: ItemKey) -> str:
    return f"{key[0]}#{key[1]}"
