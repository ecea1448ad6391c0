"""What a report is about: a run, its baseline where the two were compared, and the nights before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eval.evaluation_job import EvaluationParts
from eval.evaluations import Evaluation
from eval.question_sets import EvaluationQuestion
from eval.rows import EvaluationRow
from eval.summary import Metric, metrics_of
from ingest.errors import NotFound

_NIGHTS = 60


@dataclass(frozen=True, slots=True)
class Night:
    """One run of the history, oldest first in a report."""

    evaluation_id: str
    created_at: str
    verdict: str | None
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """All that is shown. `baseline` is empty where nothing was compared."""

    evaluation: Evaluation
    questions: Mapping[str, EvaluationQuestion]
    rows: tuple[EvaluationRow, ...]
    baseline: tuple[EvaluationRow, ...]
    baseline_metrics: Mapping[str, Metric]
    nights: tuple[Night, ...]


def load_subject(parts: EvaluationParts, evaluation: Evaluation) -> Subject:
    """The subject of a run in any state; rows of a confirmation count as tonight's only in the verdict."""
    stored = parts.question_sets.get(str(evaluation.question_set), evaluation.question_set_sha256)
    rows = tuple(row for row in parts.evaluations.iterate_rows(evaluation) if row.replicate < evaluation.repeats)
    compared = evaluation.verdict in ("pass", "fail")
    baseline = tuple(_baseline_rows(parts, evaluation)) if compared else ()
    return Subject(
        evaluation=evaluation,
        questions={question.id: question for question in stored.parsed().questions},
        rows=rows,
        baseline=baseline,
        baseline_metrics=metrics_of(baseline) if baseline else {},
        nights=tuple(_nights(parts, evaluation)),
    )


def _baseline_rows(parts: EvaluationParts, evaluation: Evaluation) -> list[EvaluationRow]:
    found: list[EvaluationRow] = []
    for evaluation_id in evaluation.gate.get("baseline", []):
        try:
            found += parts.evaluations.rows(parts.evaluations.get(evaluation_id))
        except NotFound:
            continue
    return found


def _nights(parts: EvaluationParts, evaluation: Evaluation) -> list[Night]:
    page = parts.evaluations.page(
        collection_pk=evaluation.collection_pk, question_set=evaluation.question_set, limit=_NIGHTS
    )
    return [
        Night(
            one.evaluation_id,
            one.created_at,
            one.verdict,
            {name: metric["value"] for name, metric in one.metrics.items() if metric["value"] is not None},
        )
        for one in reversed(page)
        if one.metrics and one.access == evaluation.access
    ]
