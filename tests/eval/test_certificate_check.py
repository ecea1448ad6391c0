"""The nightly check of a certificate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from api.bootstrap import Service
from eval.certificate_check import fresh_labels, fresh_questions, stake_against
from eval.question_sets import EvaluationQuestion, parse_question_set
from tests.eval.made_rows import WRONG, row
from tests.eval.test_calibration import PLACES, calibrated, latest, questions
from tests.eval.test_runs import run
from tests.ingestion import ingest_texts


def test_a_kept_promise_is_hardly_ever_refuted() -> None:
    """300 histories of 200 labels at exactly the promised risk, looked at after each: at most a tenth reach 10."""
    generator = np.random.default_rng(5)
    refuted = 0
    for _ in range(300):
        wrong = (generator.random(200) < 0.1).tolist()
        refuted += any(stake_against(wrong[:n], 0.1) >= 10 for n in range(1, 201))
    assert refuted <= 30


def test_a_broken_promise_is_refuted() -> None:
    """A risk of a quarter where a tenth was promised, within 150 labels, in nine of ten histories."""
    generator = np.random.default_rng(6)
    found = sum(stake_against((generator.random(150) < 0.25).tolist(), 0.1) >= 10 for _ in range(100))
    assert found >= 90


def test_edges_of_the_stake() -> None:
    """No label is no evidence; right answers only lower it; nothing is infinite."""
    assert stake_against([], 0.1) == 1.0
    assert stake_against([False] * 50, 0.1) < 0.2
    assert np.isfinite(stake_against([True] * 30, 0.01))


def test_each_cluster_counts_once_and_when_it_is_first_answered() -> None:
    """Below the threshold, as a paraphrase, again, or without gold it is no label."""
    first = [
        row("a", **WRONG),
        row("a", 1),
        row("b", confidence=0.2),
        row("c", phrasing=1),
        row("d", correct=None),
        row("e"),
        row("x"),
    ]
    second = [row("a"), row("b", **WRONG)]
    assert list(fresh_labels([first, second], frozenset("abcde"), 0.5)) == [True, False, True]


def test_what_was_calibrated_on_is_not_fresh() -> None:
    """Nor what shares a cluster with it, nor anything of a set without pools."""

    def question(name: str, pool: str | None, cluster: str | None = None) -> EvaluationQuestion:
        return EvaluationQuestion(id=name, question="?", answerable=False, pool=pool, cluster=cluster)

    some = [question("a", "calibrate", "one"), question("b", "gate", "one"), question("c", "gate")]
    assert fresh_questions(some) == frozenset("c")
    assert fresh_questions([question("a", None)]) == frozenset()


@pytest.fixture
def certified(service: Service) -> Service:
    """Eighty documents, all their questions calibrated on, and a set of which ten more are fresh."""
    texts = {f"{place}.txt": f"The lighthouse of {place} was built in {1800 + n}." for n, place in enumerate(PLACES)}
    ingest_texts(service, texts)
    assert calibrated(service, questions(70)).state == "valid"
    fresh = [{**one, "pool": "gate", "answers": ["nobody knows"]} for one in questions(80)[70:]]
    parsed = parse_question_set([json.dumps(one) for one in fresh])
    service.evaluation.question_sets.put("set", parsed, key_id=None)
    return service


def test_fresh_labels_make_a_certificate_void(certified: Service) -> None:
    """Ten answers, all wrong by their gold: the night says so, and the default threshold serves again."""
    by_day = run(certified, repeats=1)
    assert by_day.gate["certificate_check"] is None
    night = run(certified, repeats=1, nightly=True)
    check = night.gate["certificate_check"]
    assert (check["labels"], check["wrong"], check["refuted"]) == (10, 10, True)
    assert any("is void now" in warning for warning in night.gate["warnings"])
    assert (latest(certified).state, "10 of 10 fresh answers" in str(latest(certified).reason)) == ("void", True)
    again = run(certified, repeats=1, nightly=True)
    assert again.gate["certificate_check"] is None


def test_a_certificate_that_holds_is_left_alone(certified: Service) -> None:
    """Labels add up over nights only where they are new."""
    fresh = [{**one, "pool": "gate"} for one in questions(80)[70:]]
    parsed = parse_question_set([json.dumps(one) for one in fresh])
    certified.evaluation.question_sets.put("set", parsed, key_id=None)
    checks = [run(certified, repeats=1, nightly=True).gate["certificate_check"] for _ in range(2)]
    assert [(check["labels"], check["wrong"], check["refuted"]) for check in checks] == [(10, 0, False)] * 2
    assert latest(certified).state == "valid"
