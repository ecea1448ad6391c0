"""Whether the gold evidence was found, and how high. Ids are deduplicated first: the first place counts.

Conventions of trec_eval: binary relevance, ranks from 1, missing items are not relevant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def recall_at(ranked: Sequence[str], groups: Sequence[frozenset[str]], k: int) -> float | None:
    """groups hit in the first k / groups, in [0, 1]; None (unscored) without groups, 0 for an empty ranking.

    A group holds interchangeable items. Source: retrieval_gt of AutoRAG.
    """
    if not groups:
        return None
    found = set(_distinct(ranked)[:k])
    return sum(bool(group & found) for group in groups) / len(groups)


def all_groups_hit(ranked: Sequence[str], groups: Sequence[frozenset[str]], k: int) -> bool | None:
    """Whether every group is hit in the first k: strict coverage. None without groups."""
    recall = recall_at(ranked, groups, k)
    return None if recall is None else recall == 1.0


def precision_at(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """relevant in the first k / k, in [0, 1]; a ranking shorter than k is filled with irrelevant items."""
    return len(relevant.intersection(_distinct(ranked)[:k])) / k


def hit_at(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """1 if any of the first k is relevant, else 0."""
    return float(not relevant.isdisjoint(_distinct(ranked)[:k]))


def reciprocal_rank(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """1 / rank of the first relevant item among the first k; 0 if there is none. Its mean is MRR@k."""
    return next((1 / rank for rank, item in enumerate(_distinct(ranked)[:k], start=1) if item in relevant), 0.0)


def ndcg_at(ranked: Sequence[str], gains: Mapping[str, float], k: int) -> float | None:
    """DCG / ideal DCG, DCG = sum over the first k of gain / log2(rank + 1), in [0, 1]; None without a positive gain.

    Linear gain (equal to 2^gain - 1 where gains are binary); the ideal ranking is cut at k too. Source: Jarvelin and
    Kekalainen, TOIS 2002, as in trec_eval.
    """
    ideal = _dcg(sorted(gains.values(), reverse=True)[:k])
    if ideal <= 0:
        return None
    return _dcg([gains.get(item, 0.0) for item in _distinct(ranked)[:k]]) / ideal


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _distinct(ranked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranked))
