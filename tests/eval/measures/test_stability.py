"""Measures of stability, by hand-worked cases."""

from __future__ import annotations

import itertools

import pytest

from eval.measures import flip_rate, meaning_clusters, pair_agreement, pass_hat_k, semantic_entropy


def test_pair_agreement_by_hand() -> None:
    """Two of three agree: 2 of 6 ordered pairs; one ask says nothing."""
    assert pair_agreement(["a", "a", "b"]) == pytest.approx(1 / 3)
    assert pair_agreement(["a", "a"]) == 1
    assert pair_agreement(["a", "b"]) == 0
    assert pair_agreement(["a"]) is None


def test_pair_agreement_is_unbiased() -> None:
    """Over all outcomes of three asks with p = 0.8 its mean is p^2 + (1 - p)^2."""
    p = 0.8
    mean = sum(
        (p ** sum(asks)) * ((1 - p) ** (3 - sum(asks))) * (pair_agreement(asks) or 0)
        for asks in itertools.product([0, 1], repeat=3)
    )
    assert mean == pytest.approx(p**2 + (1 - p) ** 2)


def test_flip_rate_and_entropy_by_hand() -> None:
    """One of four differs; two equal halves of six: ln 2 / ln 6."""
    assert flip_rate(["a", "a", "a", "b"]) == 0.25
    assert flip_rate(["a"]) is None
    assert semantic_entropy(["a", "b"] * 3) == pytest.approx(0.386853, abs=1e-6)
    assert semantic_entropy(["a"] * 5) == 0
    assert semantic_entropy(["a", "b"]) is None


def test_pass_hat_k_by_hand() -> None:
    """Two successes of three: one of three pairs; more than there are is unscored."""
    assert pass_hat_k(2, 3, 2) == pytest.approx(1 / 3)
    assert pass_hat_k(1, 3, 2) == 0
    assert pass_hat_k(3, 3, 4) is None


def test_answers_of_one_meaning_are_one_cluster() -> None:
    """Case, articles and thousands aside; refusals and failures are clusters of their own."""
    answers = ["The 12,500 seats", "12500 seats", "none", None, None]
    assert meaning_clusters(answers, [False] * 4 + [True]) == [0, 0, 1, -1, -2]


def test_clusters_do_not_depend_on_the_order() -> None:
    """Even where the judge of sameness is not transitive."""
    answers = ["aa", "ab", "bb"]

    def same(one: str, other: str) -> bool:
        return bool(set(one) & set(other))

    partitions = set()
    for order in itertools.permutations(answers):
        clusters = dict(zip(order, meaning_clusters(order, same=same), strict=True))
        partitions.add(tuple(clusters[answer] for answer in answers))
    assert partitions == {(0, 0, 1)}
