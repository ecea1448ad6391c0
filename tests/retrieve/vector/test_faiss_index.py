"""What is particular to the FAISS engine: how segments merge and compact, and how many vectors tie."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve.vector.faiss_index import MAX_DEAD_SHARE, FaissIndex, FaissSnapshot
from retrieve.vector.flat import FlatSegmentIndex

VECTORS = np.eye(4, dtype=np.float32)


def publish(index: FaissIndex, first: int, rows: int) -> FaissSnapshot:
    """Add chunks first, first + 1, ... each a version of its own, and publish."""
    chunks = np.arange(first, first + rows)
    index.add(chunks, chunks, VECTORS[chunks % 4])
    return index.publish()


def sizes(snapshot: FaissSnapshot) -> list[int]:
    return [len(part.segment) for part in snapshot.segments]


def test_segments_merge_when_the_newer_ones_reach_half_the_older() -> None:
    """7 and 3 stay apart, since 7 > 2 * 3; one more row makes 7 <= 2 * 4."""
    index = FaissIndex(4)
    assert sizes(publish(index, 0, 7)) == [7]
    assert sizes(publish(index, 10, 3)) == [7, 3]
    assert sizes(publish(index, 20, 1)) == [11]


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=30))
def test_segments_stay_logarithmic(batches: list[int]) -> None:
    """Each segment is more than twice as large as all newer ones together, whatever is added or removed."""
    index = FaissIndex(4)
    for number, rows in enumerate(batches):
        index.remove_versions(range(100 * number - 150, 100 * number - 80))
        parts = publish(index, 100 * number, rows).segments
        counts = [part.count for part in parts]
        assert all(count > 2 * sum(counts[i + 1 :]) for i, count in enumerate(counts))
        assert all(part.count >= (1 - MAX_DEAD_SHARE) * len(part.segment) for part in parts)


def test_a_segment_is_compacted_when_more_than_a_fifth_is_dead() -> None:
    """Two dead rows of ten are masked, the third has all three dropped."""
    index = FaissIndex(4)
    publish(index, 0, 10)
    index.remove_versions([0, 1])
    masked = index.publish()
    index.remove_versions([2])
    compacted = index.publish()
    assert (sizes(masked), masked.count) == ([10], 8)
    assert (sizes(compacted), compacted.count) == ([7], 7)


def test_a_publish_without_changes_shares_all_segments() -> None:
    """Nothing is copied."""
    index = FaissIndex(4)
    before = publish(index, 0, 10).segments
    assert all(a is b for a, b in zip(before, index.publish().segments, strict=True))


def test_nearest_returns_all_rows_that_tie_with_the_last() -> None:
    """Of 400 equal vectors none may be left out, for the chunk key has to decide."""
    flat = FlatSegmentIndex.build(np.repeat(VECTORS[:2], [400, 100], axis=0))
    rows, scores = flat.nearest(VECTORS[0], top_k=3, mask=None)
    assert set(range(400)) <= set(rows.tolist())
    assert (scores[:400] == 1).all()


def test_vectors_come_back_as_stored() -> None:
    """Compaction copies them without loss."""
    flat = FlatSegmentIndex.build(VECTORS)
    assert (flat.vectors(np.array([2, 0])) == VECTORS[[2, 0]]).all()
