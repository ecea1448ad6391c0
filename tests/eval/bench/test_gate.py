"""The bench of the gate, on observations made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.bench.gate import Bench
from eval.bench.gate_plants import Plant
from eval.bench.gate_play import baseline_rows, expected, night_rows
from eval.bench.observed import Observed, System
from tests.eval.made_rows import FAILED, REFUSED, WRONG, row

QUESTIONS = 60
LOST = {**REFUSED, "retrieval_coverage": 0.0, "evidence_found": False, "answer_id": None}


def sound(question_id: str) -> Observed:
    """Right at first; a generator that draws takes a wrong span in one of nine asks of every third question."""
    right = row(question_id, answer_id=f"ans_{question_id}")
    wrong = row(question_id, answer_id=None, **WRONG)
    if int(question_id[1:]) % 3:
        return Observed(right, (1.0,), (right,))
    return Observed(right, (2.08, 0.0), (right, wrong))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A sound system with four further starts, and one in which nothing is found."""
    ids = [f"q{n}" for n in range(QUESTIONS)]
    base = {i: sound(i) for i in ids}
    System("baseline", base, {}).store(tmp_path / "baseline.json")
    for start in range(4):
        System("another start", base, {}).store(tmp_path / f"start-{start}.json")
    lost = {i: Observed(row(i, **LOST), (), (row(i, **LOST),), row(i, **FAILED)) for i in ids}
    replays = {f"ans_{i}": (True, True, True) for i in ids}
    System("nothing found", lost, replays).store(tmp_path / "nothing-found.json")
    return tmp_path


PLANT = Plant("lost", "nothing found", frozenset({"retrieval_coverage"}), frozenset({"retrieval"}))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_planted_loss_is_caught_and_traced(work: Path, temperature: float) -> None:
    """Whole, and in a dose of a tenth; what is stronger than the plant is not measured."""
    whole = Bench(work).measure(PLANT, temperature, None, 2)
    assert whole is not None
    assert (whole.caught, whole.metric_right, whole.stage_right) == (1.0, 1.0, 1.0)
    assert (whole.effect > 0.9, whole.share) == (True, 1.0)
    dosed = Bench(work).measure(PLANT, temperature, 0.1, 2)
    assert dosed is not None
    assert dosed.effect == pytest.approx(0.1, abs=0.02)
    assert dosed.caught == 1.0
    weak = Plant("weak", "nothing found", PLANT.metrics, PLANT.stages, share=0.05)
    assert Bench(work).measure(weak, temperature, 0.1, 2) is None


def test_a_clean_night_does_not_alarm(work: Path) -> None:
    """The tonight's start is never one of the baseline's; the bound is told with the count."""
    for temperature in (0.0, 1.0):
        clean = Bench(work).clean(temperature, 6)
        assert (clean["alarms"], clean["starts"]) == (0, 5)
        assert clean["upper_95"] == pytest.approx(0.393, abs=0.001)


def test_nights_are_played_by_their_seed() -> None:
    """Equal seeds give equal nights; other seeds draw anew; without temperature nothing is drawn."""
    start = System("one", {f"q{n}": sound(f"q{n}") for n in range(30)}, {})
    first = night_rows(start, None, 1.0, "a")
    assert first == night_rows(start, None, 1.0, "a")
    assert first != night_rows(start, None, 1.0, "b")
    assert all(one.success for one in night_rows(start, None, 0.0, "a"))
    assert len(baseline_rows([start, start], 20, 1.0, "a")) == 600


def test_expectations_are_exact() -> None:
    """A wrong span in one of nine; three in ten asks fail; a rate without anything to count is None."""
    one = sound("q0")
    assert expected(one, "task_success", 1.0) == pytest.approx((0.889, 1.0), abs=1e-3)
    failing = Observed(one.plain, one.logits, one.drawn, row("q0", **FAILED))
    assert expected(failing, "error_rate", 1.0, errors=0.3) == pytest.approx((0.3, 1.0))
    assert expected(one, "false_answer_rate", 1.0) is None


def test_starts_that_differ_are_told(work: Path) -> None:
    """One question answered otherwise by one start."""
    assert Bench(work).starts_agree() == {"starts": 5, "questions": QUESTIONS, "same": QUESTIONS}
    other = System.load(work / "start-0.json")
    changed = {**other.observed, "q1": Observed(row("q1", **WRONG), (), (row("q1", **WRONG),))}
    System("another start", changed, {}).store(work / "start-0.json")
    assert Bench(work).starts_agree()["same"] == QUESTIONS - 1
