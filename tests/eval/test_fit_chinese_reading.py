"""Fitting what reads Chinese answers: which spans count as right, and that the network learns to find them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from eval import fit_chinese_reading
from eval.fit_chinese_reading import Asked, drawn, out_of_fold, span_f1, trained
from eval.public_sets import SetQuestion
from generate.chinese.assessor import quoted_spans
from generate.chinese.reader import read
from tests.generate.test_assessment import hit

YEARS = {
    "碼頭": 1932,
    "燈塔": 1871,
    "圖書館": 1905,
    "車站": 1958,
    "橋樑": 1966,
    "學校": 1921,
    "醫院": 1947,
    "郵局": 1899,
}


def asked(thing: str, *, gold: str = "d") -> Asked:
    """When a thing was built, of a passage that says it between two other sentences."""
    others = [name for name in YEARS if name != thing][:2]
    text = f"{others[0]}位於東岸。{thing}建於{YEARS[thing]}年。{others[1]}很舊，有{YEARS[others[1]]}個座位。"
    found = read(f"{thing}建於哪一年？", [hit(text)])
    assert found is not None
    question = SetQuestion(thing, "", (f"{YEARS[thing]}年",), True, (gold,), None, (-1,), None)
    return Asked(question, found, span_f1(found, question))


def test_the_network_learns_to_find_the_answer() -> None:
    """On things that it was not trained on; deterministic for a seed."""
    train = [asked(thing) for thing in list(YEARS)[:6]] * 8
    network = trained(train, seed=1)
    again = trained(train, seed=1)
    assert np.array_equal(network.weights, again.weights)
    for thing in list(YEARS)[6:]:
        one = asked(thing)
        best = quoted_spans(one.read, network)[0]
        assert best.quote.text == f"{thing}建於{YEARS[thing]}年。"


def test_no_network_judges_what_it_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor another question about the same document; each question is judged once, what is public is learnt twice."""
    seen: list[list[str]] = []

    def remembered(questions: Sequence[Asked], *, seed: int) -> int:
        seen.append([one.question.id for one in questions])
        return len(seen) - 1

    monkeypatch.setattr(fit_chinese_reading, "trained", remembered)
    worded = [asked(thing, gold=f"d{number // 2}") for number, thing in enumerate(list(YEARS)[:6])]
    judged = list(out_of_fold([asked("郵局")], worded, seed=3))
    assert sorted(one.question.id for one, _ in judged) == sorted(one.question.id for one in worded)
    for one, network in judged:
        learnt = seen[network]  # type: ignore[index]
        assert "郵局" in learnt
        assert not [
            other for other in worded if other.question.gold == one.question.gold and other.question.id in learnt
        ]


def test_spans_of_passages_that_are_not_gold_are_wrong() -> None:
    """Even where they say the answer."""
    assert asked("碼頭").f1.max() == pytest.approx(1.0)
    assert asked("碼頭", gold="elsewhere").f1.max() == 0.0


def test_near_spans_count_little_beside_exact_ones() -> None:
    """Without an exact one the best that there is counts in full."""
    rows, targets = drawn(np.array([0.0, 0.8, 1.0, 0.3], dtype=np.float32), random.Random(0))  # noqa: S311 - not a secret
    assert rows == [2, 1, 0, 3]
    assert targets.tolist() == pytest.approx([1.0, 0.12, 0.0, 0.0])
    rows, targets = drawn(np.array([0.0, 0.8, 0.7, 0.3], dtype=np.float32), random.Random(0))  # noqa: S311 - not a secret
    assert (rows, targets.tolist()) == ([1, 0, 3], [1.0, 0.0, 0.0])
