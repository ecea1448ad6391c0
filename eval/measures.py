"""Measures of answers: arithmetic only, no files and no service. Definitions: docs/evaluation.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from eval.normalise import answer_tokens

_ANSWER_TOKENS_MIN = 40
_ANSWER_TOKENS_FACTOR = 4


def contains_answer(answer: str, golds: Sequence[str]) -> bool:
    """Whether one of `golds` stands in `answer` at token boundaries, after normalisation; False without golds.

    A gold that normalises to nothing (only punctuation) is contained in nothing.
    """
    tokens = answer_tokens(answer)
    return any(_stands_in(answer_tokens(gold), tokens) for gold in golds)


def is_correct_answer(answer: str, golds: Sequence[str]) -> bool:
    """Contains a gold answer and is no longer than max(40, 4 x the longest gold) tokens."""
    longest = max((len(answer_tokens(gold)) for gold in golds), default=0)
    limit = max(_ANSWER_TOKENS_MIN, _ANSWER_TOKENS_FACTOR * longest)
    return contains_answer(answer, golds) and len(answer_tokens(answer)) <= limit


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the normalised answer equals a normalised gold, else 0. Source: SQuAD."""
    return float(any(answer_tokens(answer) == answer_tokens(gold) for gold in golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """Greatest F1 over the golds of shared tokens, in [0, 1]; with an empty side, 1 if both are empty, else 0.

    F1 = 2 P R / (P + R), P = shared / |answer|, R = shared / |gold|, shared = size of the multiset intersection.
    Source: SQuAD 2.0.
    """
    return max(
        (_f1(answer_tokens(answer), answer_tokens(gold)) for gold in golds), default=float(not answer_tokens(answer))
    )


def recall_at(ranked: Sequence[str], groups: Sequence[frozenset[str]], k: int) -> float | None:
    """Share of the gold groups of which an item is among the first `k` ranked; None (unscored) without groups."""
    if not groups:
        return None
    found = set(ranked[:k])
    return sum(bool(group & found) for group in groups) / len(groups)


def reciprocal_rank(ranked: Sequence[str], relevant: frozenset[str], k: int) -> float:
    """1 / rank of the first relevant item among the first `k`, ranks from 1; 0 if there is none."""
    return next((1 / rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant), 0.0)


def _stands_in(needle: Sequence[str], haystack: Sequence[str]) -> bool:
    size = len(needle)
    return size > 0 and any(list(haystack[i : i + size]) == list(needle) for i in range(len(haystack) - size + 1))


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return float(list(answer) == list(gold))
    shared = sum((Counter(answer) & Counter(gold)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(answer), shared / len(gold)
    return 2 * precision * recall / (precision + recall)
