"""Two runs side by side: the gate's metrics without fresh asks, the stage, and what the success index changed by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eval.evaluation_job import EvaluationParts
from eval.evaluations import Evaluation
from eval.gate import Diagnosis, GateResult, diagnose, differences, judge
from eval.measures import Attribution, answer_drift, attribute_change, meaning_clusters
from eval.rows import EvaluationRow
from eval.summary import factors_of, items_of


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found; the last three are None where nothing can be compared."""

    result: GateResult
    diagnosis: Diagnosis | None = None
    attribution: Attribution | None = None
    answer_drift: float | None = None


def compare(parts: EvaluationParts, before: Evaluation, after: Evaluation) -> Comparison:
    """`after` against `before`, confirmed by the fresh asks that `after` made when it was suspected itself.

    Nothing is asked here: without such asks a suspicion stays one, and the verdict is `incomplete`. The ladder's last
    rung is left out.
    """
    reasons = differences(before.environment, after.environment)
    unfinished = [run.evaluation_id for run in (before, after) if run.state != "succeeded"]
    if unfinished:
        return Comparison(GateResult.without_comparison("incomplete", f"not finished: {', '.join(unfinished)}"))
    if reasons:
        return Comparison(GateResult.without_comparison("not_comparable", *reasons))
    old, asked = parts.evaluations.rows(before), parts.evaluations.rows(after)
    new = [row for row in asked if row.replicate < after.repeats]
    fresh = [row for row in asked if row.replicate >= after.repeats]
    questions = parts.question_sets.get(str(after.question_set), after.question_set_sha256).parsed().questions
    must_pass = frozenset(question.id for question in questions if question.must_pass)
    result = judge(old, new, fresh or None, must_pass=must_pass, settings=parts.settings)
    if result.wants_confirmation:
        suspected = ", ".join(line.metric for line in result.lines if line.verdict == "suspected") or "hard breaks"
        reason = f"suspected, and no fresh asks confirm it: {suspected}; run the question set again"
        result = replace(result, verdict="incomplete", reasons=(reason,))
    return Comparison(result, diagnose(old, new, None), attribution_of(old, new), drift_of(old, new))


def attribution_of(before: Sequence[EvaluationRow], after: Sequence[EvaluationRow]) -> Attribution | None:
    """Of the change of the success index, over the items that both runs scored."""
    old = {(item.question_id, item.phrasing): factors_of(item) for item in items_of(before)}
    new = {(item.question_id, item.phrasing): factors_of(item) for item in items_of(after)}
    pairs = [(was, now) for key, now in new.items() if now is not None and (was := old.get(key)) is not None]
    return attribute_change([was for was, _ in pairs], [now for _, now in pairs])


def drift_of(before: Sequence[EvaluationRow], after: Sequence[EvaluationRow]) -> float | None:
    """Answer drift over the items of both runs, meanings clustered over both together."""
    old = {(item.question_id, item.phrasing): item for item in items_of(before)}
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for item in items_of(after):
        was = old.get((item.question_id, item.phrasing))
        if was is None:
            continue
        rows = [*was.rows, *item.rows]
        labels = meaning_clusters([row.short_answer for row in rows], [row.decision == "error" for row in rows])
        sides[0].append(labels[: len(was.rows)])
        sides[1].append(labels[len(was.rows) :])
    return answer_drift(*sides)
