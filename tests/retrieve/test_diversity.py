"""Hits that repeat a better one give way, as far as is asked."""

from __future__ import annotations

import numpy as np
import pytest

from retrieve.diversity import diversified
from tests.retrieve.test_search import hit

HITS = [hit(0, 10, score=1.0), hit(20, 30, score=0.9), hit(40, 50, score=0.6), hit(60, 70, score=0.5)]
# the second says the same as the first, the third something else
VECTORS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]], np.float32)


def order(diversity: float, top_k: int = 4) -> list[str]:
    return [one.chunk_id for one in diversified(HITS, VECTORS, diversity=diversity, top_k=top_k)]


@pytest.mark.parametrize(
    ("diversity", "chosen"),
    [(0.0, ["0", "20", "40", "60"]), (0.5, ["0", "40", "20", "60"]), (1.0, ["0", "40", "60", "20"])],
)
def test_variety_is_worth_what_is_asked(diversity: float, chosen: list[str]) -> None:
    """By hand: at .5 the repetition has (.8 - 1) / 2, the others (.2 - 0) / 2 and (0 - .6) / 2."""
    assert order(diversity) == chosen


def test_few_hits_none_and_equal_scores() -> None:
    """As many as there are; equal scores are equally relevant."""
    assert order(0.5, top_k=2) == ["0", "40"]
    assert diversified([], np.empty((0, 3), np.float32), diversity=0.5, top_k=3) == []
    same = [hit(0, 10), hit(20, 30), hit(40, 50)]
    found = diversified(same, VECTORS[:3], diversity=0.5, top_k=3)
    assert [one.chunk_id for one in found] == ["0", "40", "20"]
