"""Measures of rankings, by hand and against trec_eval."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import RR, P, R, Success, nDCG

from eval.measures import all_groups_hit, hit_at, ndcg_at, precision_at, recall_at, reciprocal_rank


def test_recall_counts_groups_and_is_unscored_without_gold() -> None:
    """One of two groups is hit within the first two."""
    groups = [frozenset({"a", "b"}), frozenset({"c"})]
    assert recall_at(["x", "b", "c"], groups, 2) == 0.5
    assert recall_at(["x", "b", "c"], groups, 3) == 1
    assert recall_at([], groups, 3) == 0
    assert recall_at(["a"], [], 3) is None
    assert all_groups_hit(["x", "b", "c"], groups, 2) is False
    assert all_groups_hit(["x", "b", "c"], groups, 3) is True
    assert all_groups_hit(["x"], [], 3) is None


def test_reciprocal_rank_is_that_of_the_first_relevant() -> None:
    """Second place is 1/2; beyond k is 0; a repeated item keeps its first place only."""
    assert reciprocal_rank(["x", "a", "b"], frozenset({"a", "b"}), 10) == 0.5
    assert reciprocal_rank(["x", "y", "a"], frozenset({"a"}), 2) == 0
    assert reciprocal_rank(["x", "x", "a"], frozenset({"a"}), 10) == 0.5


def test_ndcg_by_hand() -> None:
    """Relevant at rank 2 of one relevant: (1 / log2 3) / 1; unscored without a gain."""
    assert ndcg_at(["x", "a"], {"a": 1}, 5) == pytest.approx(0.63093, abs=1e-5)
    assert ndcg_at(["x"], {"a": 0}, 5) is None
    assert ndcg_at([], {"a": 1}, 5) == 0


_IDS = "abcdefgh"


@given(st.permutations(_IDS), st.integers(1, 8), st.sets(st.sampled_from(_IDS + "zy"), min_size=1, max_size=5))
def test_rankings_score_as_in_trec_eval(ranked: list[str], length: int, relevant: set[str]) -> None:
    """nDCG@5, RR, P@5, R@5 and success@5 of ir-measures on the same ranking."""
    ranked = ranked[:length]
    run = {"q": {item: float(-place) for place, item in enumerate(ranked)}}
    qrels = {"q": dict.fromkeys(relevant, 1)}
    found = {
        str(one.measure): one.value
        for one in ir_measures.iter_calc([nDCG @ 5, RR, P @ 5, R @ 5, Success @ 5], qrels, run)
    }
    gold = frozenset(relevant)
    ours = {
        "nDCG@5": ndcg_at(ranked, dict.fromkeys(relevant, 1.0), 5),
        "RR": reciprocal_rank(ranked, gold, 100),
        "P@5": precision_at(ranked, gold, 5),
        "R@5": recall_at(ranked, [frozenset({one}) for one in gold], 5),
        "Success@5": hit_at(ranked, gold, 5),
    }
    assert ours == pytest.approx(found)
