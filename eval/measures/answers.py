"""Whether an answer says what it should: containment, exact match, token F1, nuggets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from eval.normalise import answer_tokens

_ANSWER_TOKENS_MIN = 40
_ANSWER_TOKENS_FACTOR = 4


def contains_answer(answer: str, golds: Sequence[str]) -> bool:
    """Whether one of `golds` stands in `answer` at token boundaries, after normalisation; False without golds.

    A gold that normalises to nothing (only punctuation) is contained in nothing. Departs from RGB (Chen et al., AAAI
    2024), which looks for substrings: there "cat" is in "category".
    """
    tokens = answer_tokens(answer)
    return any(_stands_in(answer_tokens(gold), tokens) for gold in golds)


def answer_share(answer: str, golds: Sequence[str]) -> float | None:
    """contained / golds, in [0, 1]: for golds that are all wanted. None (unscored) without golds.

    Source: STR-EM of ALCE (Gao et al., EMNLP 2023), at token boundaries.
    """
    if not golds:
        return None
    return sum(contains_answer(answer, [gold]) for gold in golds) / len(golds)


def is_correct_answer(answer: str, golds: Sequence[str]) -> bool:
    """Contains a gold answer and is no longer than max(40, 4 x the longest gold) tokens.

    The limit keeps an answer that recites the passage from being right by length.
    """
    longest = max((len(answer_tokens(gold)) for gold in golds), default=0)
    limit = max(_ANSWER_TOKENS_MIN, _ANSWER_TOKENS_FACTOR * longest)
    return contains_answer(answer, golds) and len(answer_tokens(answer)) <= limit


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the normalised answer equals a normalised gold, else 0; without golds, 1 for an empty answer.

    Source: SQuAD 2.0 (Rajpurkar et al., ACL 2018), extended to CJK by characters.
    """
    tokens = answer_tokens(answer)
    return float(any(tokens == answer_tokens(gold) for gold in golds)) if golds else float(not tokens)


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """Greatest F1 over the golds of shared tokens, in [0, 1]; with an empty side, 1 if both are empty, else 0.

    F1 = 2 P R / (P + R), P = shared / |answer|, R = shared / |gold|, shared = size of the multiset intersection.
    Source: SQuAD 2.0.
    """
    tokens = answer_tokens(answer)
    return max((_f1(tokens, answer_tokens(gold)) for gold in golds), default=float(not tokens))


def nugget_recall(support: Sequence[float], vital: Sequence[bool]) -> float | None:
    """Mean support (1, 0.5 for partial, 0) of the vital nuggets, in [0, 1]; None without a vital one.

    Source: nuggetizer (Pradeep et al., 2024), which returns 0 there instead.
    """
    kept = [value for value, counts in zip(support, vital, strict=True) if counts]
    return sum(kept) / len(kept) if kept else None


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
