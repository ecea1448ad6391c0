"""The report of a run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from eval.evaluations import Evaluation
from eval.gate import diagnose, judge
from eval.question_sets import parse_question_set
from eval.report import Night, Subject, render
from eval.rows import CitedQuote, EvaluationRow
from eval.settings import EvalSettings
from eval.stored_judgement import gate_json
from eval.summary import metrics_json, metrics_of
from tests.eval.made_rows import FAILED, REFUSED, WRONG, run

EVIL = "<script>alert('x')</script>"


def subject(rows: list[EvaluationRow], baseline: list[EvaluationRow]) -> Subject:
    """A finished run of twenty questions, judged against the baseline where there is one."""
    result = judge(baseline, rows, rows, must_pass=frozenset(), settings=EvalSettings()) if baseline else None
    lost = diagnose(baseline, rows, None)
    gate: dict[str, Any] = {} if result is None else gate_json(result, lost, None, None, ["eval_0"])
    metrics = metrics_json(metrics_of(rows))
    evaluation = Evaluation(
        1, "eval_1", 1, "default", None, "set", "0" * 64, "f", 3, False, "succeeded", None, None, None, {}, (),
        "no_baseline" if result is None else result.verdict, metrics, gate, "2025-01-02T03:04:05.000000Z", None,
    )  # fmt: skip
    lines = [json.dumps({"id": f"q{n}", "question": "?", "answers": [EVIL], "answerable": True}) for n in range(20)]
    questions = {question.id: question for question in parse_question_set(lines).questions}
    value = metrics["task_success"]["value"]
    nights = tuple(Night(f"eval_{n}", "2025", "pass", {"task_success": value or 0.0}) for n in range(3))
    return Subject(
        evaluation, questions, tuple(rows), tuple(baseline), metrics_of(baseline) if baseline else {}, nights
    )


def test_a_failed_run_shows_both_sides_of_every_flip() -> None:
    """The verdict comes first; each lost question with both answers and their quotes."""
    quote = CitedQuote("a.txt", 1, 0, 8, "It is 8.", 1.0)
    lost = {**WRONG, "answer": "It is 8.", "citations": (quote,)}
    page = render(subject(run(20, 3, lambda q, r: lost if q < 4 else {}), run(20, 20, starts=4)))
    assert page.index("Failed") < page.index("Gate") < page.index("Metrics") < page.index("Flipped questions (4)")
    assert page.count('class="flip lost"') == 4
    assert page.count("<blockquote>It is 8.") == 4
    assert page.count("<p>It is 7.</p>") == 4


def test_the_page_is_self_contained_and_text_is_only_text() -> None:
    """No script, nothing loaded from elsewhere, and no markup out of documents or questions."""
    page = render(subject(run(20, 3, lambda q, r: {"answer": EVIL, **({} if q else WRONG)}), run(20, 20, starts=4)))
    assert "<script" not in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "rows",
    [[], run(20, 3, lambda q, r: REFUSED), run(20, 3, lambda q, r: FAILED), run(1, 1)],
    ids=["nothing", "all refused", "all failed", "one ask"],
)
def test_degenerate_runs_have_a_report(rows: list[EvaluationRow]) -> None:
    """With and without a baseline, and never with NaN in it."""
    for baseline in ([], run(20, 20, starts=4)):
        assert not re.search(r"\bnan\b", render(subject(rows, baseline)), re.IGNORECASE)
