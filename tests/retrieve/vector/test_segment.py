"""Segments: masks by version, and removal that leaves the older view alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieve.restriction import Restriction
from retrieve.vector.faiss_index import FaissSnapshot
from retrieve.vector.segment import LiveSegment, Segment


class ReversedIndex:
    """A fake tier: all scores equal, rows in descending order."""

    def nearest(
        self, query: NDArray[np.float32], *, top_k: int, mask: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.arange(4) if mask is None else np.flatnonzero(mask)
        return rows[::-1], np.ones(len(rows), np.float32)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        raise NotImplementedError


SEGMENT = Segment(np.array([5, 6, 7, 8]), np.array([30, 10, 30, 20]), ReversedIndex())
QUERY = np.ones(1, np.float32)


def test_mask_spreads_versions_over_rows() -> None:
    """Rows 0 and 2 belong to version 30."""
    assert SEGMENT.mask(Restriction.of([30, 40])).tolist() == [True, False, True, False]


def test_search_of_any_tier_breaks_ties_by_chunk_key() -> None:
    """The tier gave rows in reverse; the lowest keys win the cut."""
    live = LiveSegment(SEGMENT, np.ones(4, np.bool_))
    found = FaissSnapshot(1, (live,)).search(QUERY, top_k=2)
    assert found.chunks.tolist() == [5, 6]


def test_without_leaves_the_older_view() -> None:
    """Removing makes a new view of the same segment; removing nothing makes none."""
    older = LiveSegment(SEGMENT, np.ones(4, np.bool_))
    newer = older.without(np.array([True, False, False, False]))
    assert (older.count, newer.count) == (4, 3)
    assert newer.segment is older.segment
    assert newer.without(np.zeros(4, np.bool_)) is newer
    chunks, _ = newer.search(QUERY, top_k=9, restriction=Restriction.of([30]))
    assert chunks.tolist() == [7]
