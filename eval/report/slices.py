"""Slices of a run: how each tag and language fared against the baseline. Reported, never blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eval.gate.metrics import GATE_METRICS, test_metric
from eval.rows import EvaluationRow
from eval.summary import RATES, items_of

_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice's task success now, and against the baseline where there is one; `flagged` by Benjamini and Hochberg."""

    name: str
    asks: int
    value: float | None
    baseline: float | None
    p: float | None
    flagged: bool


def slices_of(rows: Sequence[EvaluationRow], baseline: Sequence[EvaluationRow]) -> list[Slice]:
    """A slice for each language and tag that at least one row has, by name."""
    names = sorted({name for row in rows for name in _names(row)})
    found = [_slice(name, rows, baseline) for name in names]
    flagged = _benjamini_hochberg([one.p for one in found])
    return [
        Slice(one.name, one.asks, one.value, one.baseline, one.p, flag)
        for one, flag in zip(found, flagged, strict=True)
    ]


def _slice(name: str, rows: Sequence[EvaluationRow], baseline: Sequence[EvaluationRow]) -> Slice:
    own = [row for row in rows if name in set(_names(row))]
    before = [row for row in baseline if name in set(_names(row))]
    scored = [part for row in own if (part := RATES["task_success"](row)) is not None]
    value = sum(part[0] for part in scored) / len(scored) if scored else None
    metric = next(metric for metric in GATE_METRICS if metric.name == "task_success")
    tested = test_metric(
        metric,
        {(item.question_id, item.phrasing): item for item in items_of(before)},
        {(item.question_id, item.phrasing): item for item in items_of(own)},
    )
    return Slice(
        name,
        len(own),
        value,
        None if tested is None else tested.baseline,
        None if tested is None else tested.test.p,
        False,
    )


def _names(row: EvaluationRow) -> Iterator[str]:
    yield "answerable" if row.answerable else "unanswerable"
    if row.language is not None:
        yield f"language {row.language}"
    yield from row.tags


def _benjamini_hochberg(p_values: Sequence[float | None]) -> list[bool]:
    """Rejections at a false discovery rate of 5 %. Source: Benjamini and Hochberg, JRSS B 1995."""
    known = sorted(p for p in p_values if p is not None)
    limit = max((p for rank, p in enumerate(known, start=1) if p <= _LEVEL * rank / len(known)), default=-1.0)
    return [p is not None and p <= limit for p in p_values]
