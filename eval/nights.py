"""The nights since the baseline, as the bet on slow drift sees them."""

from __future__ import annotations

from collections.abc import Sequence

from eval.evaluations import Evaluation, Evaluations
from eval.gate import differences
from eval.gate.nights import SlowDrift, slow_drift, standard_error_of_starts
from eval.rows import EvaluationRow

_NIGHTS_MAX = 1000


def nights_before(evaluations: Evaluations, night: Evaluation, *, since: str) -> list[Evaluation]:
    """Finished nights of its collection and question set that began after `since`, oldest first, without `night`."""
    page = evaluations.page(
        collection_pk=night.collection_pk, question_set=night.question_set, nightly=True, limit=_NIGHTS_MAX
    )
    return [run for run in reversed(page) if run.state == "succeeded" and run.created_at > since and run.pk != night.pk]


def drift_since_baseline(
    evaluations: Evaluations,
    night: Evaluation,
    rows: Sequence[EvaluationRow],
    *,
    blessed_at: str,
    baseline: Sequence[EvaluationRow],
    level: float,
) -> SlowDrift | None:
    """The bet over all comparable nights since the baseline was made, the night with these rows included; None where
    one side has no scored ask.
    """
    earlier = [
        run.metrics["task_success"]["value"]
        for run in nights_before(evaluations, night, since=blessed_at)
        if not differences(run.environment, night.environment)
        and run.metrics.get("task_success", {}).get("value") is not None
    ]
    own = success_rate(rows)
    starts = {row.process for row in baseline}
    means = [success_rate([row for row in baseline if row.process == start]) for start in starts]
    known = [mean for mean in means if mean is not None]
    if own is None or not known:
        return None
    return slow_drift(
        [*earlier, own],
        baseline=sum(known) / len(known),
        standard_error=standard_error_of_starts(known),
        level=level,
    )


def success_rate(rows: Sequence[EvaluationRow]) -> float | None:
    """The share of the scored asks that succeeded; None without any."""
    scored = [row.success for row in rows if row.success is not None]
    return sum(scored) / len(scored) if scored else None
