"""Metrics of runs, by hand-worked cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eval.rows import EvaluationRow
from eval.summary import metrics_json, metrics_of
from tests.eval.made_rows import FAILED, REFUSED, WRONG, row, run


def test_rates_by_hand() -> None:
    """Four asks: right, wrong, refused with its evidence, failed."""
    metrics = metrics_of([row("a"), row("b", **WRONG), row("c", **REFUSED), row("d", **FAILED)])
    values = {name: metric.value for name, metric in metrics.items()}
    assert values["task_success"] == values["correctness"] == 0.25
    assert (values["answer_rate"], values["error_rate"]) == (0.5, 0.25)
    assert (values["selective_risk"], values["wrong_answer_rate"]) == (0.5, 0.25)
    assert values["over_refusal_rate"] == 0.25
    assert values["over_refusal_with_evidence"] == pytest.approx(1 / 3)
    assert values["evidence_rate"] == 1.0
    assert values["false_answer_rate"] is None


def test_stability_by_hand() -> None:
    """One question answered 7, 7, 8: one of three pairs agrees; one always the same."""
    rows = [*run(1, 3, lambda q, r: WRONG if r == 2 else {}), *[row("b", r) for r in range(3)]]
    metrics = metrics_of(rows)
    assert metrics["answer_stability"].value == pytest.approx((1 / 3 + 1) / 2)
    assert metrics["decision_stability"].value == 1
    assert metrics["pass_all_replicates"].value == 0.5
    assert metrics["success_index"].value == pytest.approx((2 / 3 * 1 / 3 + 1) / 2)


def test_one_replicate_says_nothing_of_stability() -> None:
    """Unscored, not 1."""
    metrics = metrics_of([row("a")])
    assert metrics["answer_stability"].value is None
    assert (metrics["answer_stability"].n, metrics["answer_stability"].unscored) == (0, 1)


def test_paraphrases_are_split_into_retrieval_and_generation() -> None:
    """Same passages and another answer is the generation; other passages are the retrieval."""
    same = [row("a"), row("a", phrasing=1, short_answer="8")]
    metrics = metrics_of(same)
    assert metrics["paraphrase_stability"].value == 0
    assert metrics["paraphrase_retrieval_overlap"].value == pytest.approx(1)
    assert metrics["paraphrase_generation_stability"].value == 0
    elsewhere = metrics_of([row("a"), row("a", phrasing=1, retrieved=("b.txt@0-10#00000000",))])
    assert elsewhere["paraphrase_retrieval_overlap"].value == 0
    assert elsewhere["paraphrase_generation_stability"].value is None


def test_intervals_count_clusters_not_asks() -> None:
    """A hundred asks of one document have no interval; two clusters that differ have the widest."""
    one = metrics_of(run(100, 1, lambda q, r: {"cluster": "c", **(WRONG if q % 2 else {})}))["task_success"]
    assert (one.value, one.low, one.high) == (0.5, None, None)
    two = metrics_of(run(100, 1, lambda q, r: {"cluster": str(q % 2), **(WRONG if q % 2 else {})}))["task_success"]
    assert (two.low, two.high) == (0.0, 1.0)


def test_an_answer_taken_by_a_deletion_is_left_out_of_stability() -> None:
    """What is no longer known is neither equal nor different."""
    rows = [*run(1, 2), row("q0", 2, answer=None, short_answer=None)]
    assert metrics_of(rows)["answer_stability"].value == 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        run(3, 2, lambda q, r: REFUSED),
        run(3, 2, lambda q, r: FAILED),
        run(3, 2, lambda q, r: {**REFUSED, "answerable": False, "evidence_found": None, "success": True}),
        run(1, 1),
        run(2, 2, lambda q, r: {"correct": None, "success": None, "exact_match": None, "token_f1": None}),
    ],
    ids=["nothing", "all refused", "all failed", "none answerable", "one question once", "no gold answers"],
)
def test_degenerate_runs_are_defined(rows: list[EvaluationRow]) -> None:
    """Every metric is a number or None, and valid JSON."""
    shown: Any = json.loads(json.dumps(metrics_json(metrics_of(rows)), allow_nan=False))
    assert shown["task_success"]["n"] + shown["task_success"]["unscored"] == len(rows)
