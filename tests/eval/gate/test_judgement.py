"""The verdict over whole runs."""

from __future__ import annotations

from typing import Any

import pytest

from eval.gate import judge
from eval.gate.judgement import GateResult
from eval.rows import EvaluationRow
from eval.settings import EvalSettings
from tests.eval.made_rows import FAILED, REFUSED, WRONG, run

NOTHING: frozenset[str] = frozenset()


def verdict(
    tonight: list[EvaluationRow],
    confirmation: list[EvaluationRow] | None = None,
    *,
    baseline: list[EvaluationRow] | None = None,
    must_pass: frozenset[str] = NOTHING,
) -> GateResult:
    base = run(100, 20, starts=4) if baseline is None else baseline
    return judge(base, tonight, confirmation, must_pass=must_pass, settings=EvalSettings())


def lost(questions: int, fields: dict[str, Any] = WRONG) -> list[EvaluationRow]:
    """Tonight's run in which the first questions come out otherwise."""
    return run(100, 3, lambda q, r: fields if q < questions else {})


def test_an_unchanged_system_passes_without_more_asks() -> None:
    """Every declared metric that can be counted stands in a line."""
    result = verdict(lost(0))
    assert (result.verdict, result.wants_confirmation, result.reasons) == ("pass", False, ())
    assert {line.metric for line in result.lines} == {
        "error_rate", "retrieval_coverage", "evidence_rate", "answer_stability", "task_success",
    }  # fmt: skip


def test_a_loss_is_suspected_then_confirmed() -> None:
    """Five of a hundred: fresh asks are wanted, and decide."""
    first = verdict(lost(5))
    assert (first.wants_confirmation, first.verdict) == (True, "pass")
    confirmed = verdict(lost(5), lost(5))
    assert (confirmed.verdict, confirmed.blamed) == ("fail", "task_success")
    assert len(confirmed.broken) == 5
    cleared = verdict(lost(5), lost(0))
    assert (cleared.verdict, cleared.broken) == ("pass", ())


@pytest.mark.parametrize(
    ("fields", "blamed"),
    [
        ({**REFUSED, "retrieval_coverage": 0.0, "evidence_found": False}, "retrieval_coverage"),
        ({"success": False, "supported": 0, "evidence_whole": False}, "evidence_rate"),
        (FAILED, "error_rate"),
        (WRONG, "task_success"),
    ],
)
def test_the_metric_nearest_to_the_cause_is_blamed(fields: dict[str, Any], blamed: str) -> None:
    """Though task success falls in every case."""
    result = verdict(lost(6, fields), lost(6, fields))
    assert (result.verdict, result.blamed) == ("fail", blamed)


def test_answers_to_the_unanswerable_are_blamed_on_false_answers() -> None:
    """A hundred unanswerable questions were refused; six of them are answered now."""
    refused = {**REFUSED, "answerable": False, "success": True, "correct": True, "evidence_found": None}
    answered = {"answerable": False, "success": False, "correct": False, "evidence_found": None}
    base = run(100, 20, lambda q, r: refused, starts=4)
    now = run(100, 3, lambda q, r: answered if q < 6 else refused)
    result = judge(base, now, now, must_pass=NOTHING, settings=EvalSettings())
    assert (result.verdict, result.blamed) == ("fail", "false_answer_rate")


def test_changes_below_the_margin_are_only_reported() -> None:
    """One of 200 questions is half a point: significant without any noise, and let through."""
    base = run(200, 20, starts=4)
    now = run(200, 3, lambda q, r: WRONG if q == 0 else {})
    result = judge(base, now, now, must_pass=NOTHING, settings=EvalSettings())
    line = next(line for line in result.lines if line.metric == "task_success")
    assert (result.verdict, line.verdict, result.broken) == ("pass", "below_margin", ("q0#0",))


def test_must_pass_questions_block_alone() -> None:
    """If fresh asks fail too; a single slip that does not come back is forgiven."""
    one_slip = run(100, 3, lambda q, r: WRONG if (q, r) == (7, 0) else {})
    must = frozenset({"q7"})
    assert verdict(one_slip, must_pass=must).wants_confirmation
    assert verdict(one_slip, lost(0), must_pass=must).verdict == "pass"
    blocked = verdict(one_slip, one_slip, must_pass=must)
    assert (blocked.verdict, blocked.must_pass_failed) == ("fail", ("q7#0",))


def test_more_than_one_percent_of_errors_blocks_at_once() -> None:
    """Whatever was tested."""
    now = run(100, 3, lambda q, r: FAILED if r == 0 and q < 6 else {})
    result = verdict(now, now)
    assert (result.verdict, result.blamed) == ("fail", "error_rate")


def test_an_improvement_does_not_make_up_for_a_loss() -> None:
    """Ten questions better, six worse: it fails for the six."""
    base = run(100, 20, lambda q, r: WRONG if q >= 90 else {}, starts=4)
    now = run(100, 3, lambda q, r: {**REFUSED, "retrieval_coverage": 0.0, "evidence_found": False} if q < 6 else {})
    result = judge(base, now, now, must_pass=NOTHING, settings=EvalSettings())
    assert (result.verdict, result.blamed) == ("fail", "retrieval_coverage")


def test_instability_is_caught_though_nothing_else_changed() -> None:
    """Right every time, but with other words each time, where it had always been the same words."""
    now = run(100, 3, lambda q, r: {"short_answer": f"7 or {r}"} if q < 20 else {})
    result = verdict(now, now)
    assert (result.verdict, result.blamed) == ("fail", "answer_stability")


def test_a_baseline_of_one_replicate_gives_no_verdict() -> None:
    """Its noise is unknown."""
    assert verdict(lost(0), baseline=run(100, 1)).verdict == "incomplete"
    assert verdict(lost(0), baseline=[]).verdict == "incomplete"


def test_a_baseline_of_one_start_is_warned_of() -> None:
    """What differs from night to night is not known then."""
    assert "one start" in verdict(lost(0), baseline=run(100, 20)).warnings[0]
    assert verdict(lost(0)).warnings == ()


@pytest.mark.parametrize("fields", [REFUSED, FAILED, {"answerable": False, **REFUSED, "success": True}])
def test_degenerate_runs_have_verdicts_without_nan(fields: dict[str, Any]) -> None:
    """Nothing answered; everything failed; nothing answerable; also with one question and one replicate."""
    for questions, repeats in ((20, 3), (1, 1)):
        base = run(questions, 20, lambda q, r: fields, starts=4)
        now = run(questions, repeats, lambda q, r: fields)
        result = judge(base, now, now, must_pass=NOTHING, settings=EvalSettings())
        assert result.verdict == ("fail" if fields is FAILED else "pass")
        assert "nan" not in repr(result)
