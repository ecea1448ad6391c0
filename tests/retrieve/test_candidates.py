"""Candidates: their order, and that nobody can change them."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates, check_top_k


def test_best_orders_by_score_then_by_chunk_key() -> None:
    """Of the three with score 2 the two with the lowest keys stay."""
    found = Candidates.best(np.array([9, 4, 7, 5, 1]), np.array([2, 2, 3, 2, 1], np.float32), top_k=3)
    assert found.chunks.tolist() == [7, 4, 5]
    assert found.scores.tolist() == [3, 2, 2]
    assert (found.chunks.dtype, found.scores.dtype, len(found)) == (np.int64, np.float32, 3)


def test_candidates_are_read_only() -> None:
    """A later stage cannot edit the scores of an earlier one."""
    found = Candidates.best(np.array([1]), np.array([1], np.float32), top_k=1)
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0] = 2


def test_those_from_a_score_on() -> None:
    """The score itself counts; what is left keeps its order, and all may go."""
    found = Candidates.best(np.array([1, 2, 3]), np.array([0.5, 0.2, 0.1], np.float32), top_k=3)
    assert found.from_score(float(np.float32(0.2))).chunks.tolist() == [1, 2]
    assert len(found.from_score(0.6)) == 0
    assert found.from_score(-1.0) is found


def test_none_is_empty() -> None:
    """No candidates are a value of length 0, not an error."""
    assert len(Candidates.none()) == 0


def test_top_k_below_one_is_refused() -> None:
    """Zero candidates are never what a caller meant."""
    with pytest.raises(InvalidInput, match="top_k is 0"):
        check_top_k(0)
