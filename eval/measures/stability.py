"""Whether the same question gets the same decision and the same answer again.

All measures take the labels of K replicates of one question (decisions, or clusters of meaning) and need K >= 2: one
ask says nothing about stability, so K = 1 is unscored, not 1. A system that always refuses is perfectly stable; these
measures are never shown alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from eval.normalise import answer_tokens

_ENTROPY_REPLICATES_MIN = 5
REFUSED = -1
FAILED = -2


def pair_agreement(labels: Sequence[Hashable]) -> float | None:
    """sum_c n_c (n_c - 1) / (K (K - 1)), in [0, 1]; None for K < 2.

    The unbiased estimate of the probability that two asks agree: of decisions, decision stability; of clusters of
    meaning, answer stability; over paraphrases, paraphrase stability.
    """
    k = len(labels)
    if k < 2:
        return None
    return sum(n * (n - 1) for n in Counter(labels).values()) / (k * (k - 1))


def flip_rate(labels: Sequence[Hashable]) -> float | None:
    """1 - max_c n_c / K, in [0, 1); None for K < 2. Biased up at small K. Source: arXiv 2606.13685."""
    return 1 - max(Counter(labels).values()) / len(labels) if len(labels) >= 2 else None


def semantic_entropy(clusters: Sequence[Hashable]) -> float | None:
    """-sum_c p_c ln p_c / ln K, in [0, 1]; None for K < 5, where it means little.

    The discrete estimate of Farquhar et al., Nature 2024, normalised by its greatest value.
    """
    k = len(clusters)
    if k < _ENTROPY_REPLICATES_MIN:
        return None
    return -sum(n / k * math.log(n / k) for n in Counter(clusters).values()) / math.log(k)


def pass_hat_k(successes: int, trials: int, k: int) -> float | None:
    """C(s, k) / C(K, k): the chance that k asks drawn from the K all succeed, in [0, 1]; None for K < k.

    Source: pass^k of tau-bench (Yao et al., 2024).
    """
    return math.comb(successes, k) / math.comb(trials, k) if trials >= k else None


def meaning_clusters(
    answers: Sequence[str | None],
    failed: Sequence[bool] | None = None,
    same: Callable[[str, str], bool] | None = None,
) -> list[int]:
    """A cluster number an ask, in the order given; None is a refusal (-1), a failed ask is -2.

    Answers are one cluster when their tokens are equal after normalisation (words, numbers), or when `same` (say,
    entailment both ways) holds between one of them and the cluster's first. Greedy, over sorted answers, so that the
    order of the asks does not matter. Source: semantic entropy (Farquhar et al., Nature 2024).
    """
    keys = {answer: tuple(answer_tokens(answer)) for answer in answers if answer is not None}
    leaders: list[tuple[str, tuple[str, ...]]] = []
    cluster_of: dict[str, int] = {}
    for answer in sorted(keys):
        key = keys[answer]
        found = next(
            (n for n, (text, known) in enumerate(leaders) if known == key or (same and same(text, answer))), None
        )
        if found is None:
            leaders.append((answer, key))
        cluster_of[answer] = len(leaders) - 1 if found is None else found
    fails = failed or [False] * len(answers)
    return [
        FAILED if bad else REFUSED if answer is None else cluster_of[answer]
        for answer, bad in zip(answers, fails, strict=True)
    ]
