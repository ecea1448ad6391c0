"""Controlling an AUROC for length."""

from __future__ import annotations

import numpy as np
import pytest

from eval.bench.support import matched_pairs, stratified_auroc

LABELS = np.array([1, 1, 0, 0, 1, 0])
LENGTHS = np.array([5, 6, 20, 21, 22, 7])


def test_strata_compare_only_answers_of_like_length() -> None:
    """Short: 2 good, 1 bad; long: 1 good, 2 bad; each pair inside a stratum counts the same."""
    edges = (0, 10, 30)
    assert stratified_auroc(LABELS, np.array([1.0, 1, 0, 0, 1, 0]), LENGTHS, edges) == 1.0
    assert stratified_auroc(LABELS, np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]), LENGTHS, edges) == pytest.approx(0.5)
    assert stratified_auroc(LABELS, np.array([1.0, 0, 0, 1, 1, 0.5]), LENGTHS, edges) == pytest.approx((1 + 1.5) / 4)


def test_pairs_are_matched_once_and_within_two_characters() -> None:
    """22 with 21; 6 with 7; 5 finds none left."""
    assert matched_pairs(LABELS, LENGTHS) == [4, 3, 1, 5]
