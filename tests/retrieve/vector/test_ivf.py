"""The approximate tier: near what is exact, filters before the cut, and built beside what serves."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieve.restriction import Restriction
from retrieve.storage import FileStore
from retrieve.vector.faiss_index import FaissIndex, FaissSnapshot
from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.ivf import IvfSegmentIndex, list_count
from retrieve.vector.segment import SegmentIndex
from retrieve.vector.tiers import Tiers

DIM = 32
ROWS = 4_000


class Rows:
    """An array as a source of vectors."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._vectors[rows]


def clustered(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors around fifty centres, float32 of shape (rows, DIM)."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((50, DIM))
    vectors = (centres[random.integers(0, 50, rows)] + 0.7 * random.standard_normal((rows, DIM))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


VECTORS = clustered(ROWS)
QUERIES = clustered(40, seed=1)


@pytest.fixture(scope="module")
def ivf() -> IvfSegmentIndex:
    """Over VECTORS."""
    return IvfSegmentIndex.build(Rows(VECTORS))


def recall(index: IvfSegmentIndex, mask: NDArray[np.bool_] | None, top_k: int = 10) -> float:
    """Share of the true nearest allowed rows that are found."""
    exact = FlatSegmentIndex.build(VECTORS)
    shares = []
    for query in QUERIES:
        rows, scores = index.nearest(query, top_k=top_k, mask=mask)
        assert mask is None or mask[rows].all()
        assert scores == pytest.approx(VECTORS[rows] @ query, abs=1e-3)
        expected = exact.nearest(query, top_k=top_k, mask=mask)[0][:top_k]
        shares.append(len(set(rows.tolist()) & set(expected.tolist())) / len(expected))
    return float(np.mean(shares))


@pytest.mark.parametrize("allowed", [1.0, 0.9, 0.5, 0.2, 0.06, 0.04, 0.005])
def test_recall_is_high_under_any_filter(ivf: IvfSegmentIndex, allowed: float) -> None:
    """Few allowed rows are compared one by one, more by probing more lists; scores are true inner products."""
    mask = None if allowed == 1 else np.random.default_rng(5).random(ROWS) < allowed
    assert recall(ivf, mask) >= 0.98


def test_a_filter_that_goes_against_the_query_is_obeyed(ivf: IvfSegmentIndex) -> None:
    """All allowed rows lie far from the query, in lists that nothing led to."""
    query = QUERIES[0]
    mask = VECTORS @ query < np.quantile(VECTORS @ query, 0.3)
    rows, _ = ivf.nearest(query, top_k=10, mask=mask)
    assert len(rows) >= 10
    assert mask[rows].all()


def test_every_row_can_be_asked_for(ivf: IvfSegmentIndex) -> None:
    """As many candidates as there are rows: then all are compared."""
    rows, scores = ivf.nearest(QUERIES[0], top_k=ROWS, mask=None)
    assert sorted(rows.tolist()) == list(range(ROWS))
    assert (np.diff(scores) <= 0).all()


def test_a_saved_one_answers_the_same(ivf: IvfSegmentIndex, tmp_path: Path) -> None:
    """To the last bit, with the stored vectors in half precision."""
    ivf.save(tmp_path / "ivf")
    loaded = IvfSegmentIndex.load(tmp_path / "ivf")
    assert len(loaded) == ROWS
    for query in QUERIES[:5]:
        one, other = (index.nearest(query, top_k=10, mask=None) for index in (ivf, loaded))
        assert one[0].tolist() == other[0].tolist()
    rows = np.array([7, 3])
    np.testing.assert_allclose(loaded.vectors(rows), VECTORS[rows], atol=1e-3)


def test_lists_grow_with_the_square_root() -> None:
    """Powers of two near twice the root."""
    assert [list_count(n) for n in (0, 1, 4_000, 50_000, 1_000_000)] == [1, 2, 128, 512, 2048]


def add(index: FaissIndex, first: int, rows: int) -> FaissSnapshot:
    """Chunks first, first + 1, …, each a version of its own, and publish."""
    chunks = np.arange(first, first + rows)
    index.add(chunks, chunks, VECTORS[first : first + rows])
    return index.publish()


def kinds(snapshot: FaissSnapshot) -> list[str]:
    return [part.segment.index.kind for part in snapshot.segments]


def test_a_large_segment_is_built_by_maintenance_only() -> None:
    """Until then the exact one serves; afterwards the next publish shows the other, with the same chunks."""
    index = FaissIndex(DIM, tiers=Tiers(1_000))
    before = add(index, 0, 1_200)
    assert kinds(before) == ["flat"]
    assert index.maintain()
    after = index.publish()
    assert (kinds(before), kinds(after)) == (["flat"], ["ivf"])
    assert after.count == before.count
    assert not index.maintain()
    assert kinds(add(index, 2_000, 100)) == ["ivf", "flat"]
    assert kinds(add(index, 2_100, 700)) == ["ivf", "flat"]  # 1,200 <= 2 * 800: due, but not for publish
    assert index.maintain()
    merged = index.publish()
    assert (kinds(merged), merged.count) == (["ivf"], 2_000)
    query = VECTORS[2_050]
    assert merged.search(query, top_k=1).chunks.tolist() == [2_050]


def test_what_happens_during_the_build_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed, replaced and added while a large segment is built; rolled-back changes are not."""
    index = FaissIndex(DIM, tiers=Tiers(1_000))
    add(index, 0, 1_500)
    building, go_on = threading.Event(), threading.Event()
    original = Tiers.build

    def build(self: Tiers, source: Rows, file: Path | None) -> tuple[SegmentIndex, Path | None]:
        if self.is_large(len(source)):
            building.set()
            assert go_on.wait(20)
        return original(self, source, file)

    monkeypatch.setattr(Tiers, "build", build)
    thread = threading.Thread(target=index.maintain)
    thread.start()
    assert building.wait(20)
    index.remove_versions(range(100))
    index.add(np.array([200]), np.array([9_999]), VECTORS[3_000:3_001])
    for n in range(20):
        add(index, 1_500 + 10 * n, 10)
    index.remove_versions([300])
    go_on.set()
    thread.join()
    index.rollback()
    snapshot = index.publish()
    assert kinds(snapshot)[0] == "ivf"
    assert snapshot.count == 1_500 - 100 + 200
    assert snapshot.search(VECTORS[3_000], top_k=1).chunks.tolist() == [200]
    assert snapshot.search(VECTORS[300], top_k=1).chunks.tolist() == [300]
    assert 50 not in snapshot.search(VECTORS[50], top_k=5).chunks
    restricted = snapshot.search(VECTORS[50], top_k=5, restriction=Restriction.of([1_501, 1_502]))
    assert sorted(restricted.chunks.tolist()) == [1_501, 1_502]


def test_a_large_segment_with_many_dead_rows_is_written_anew() -> None:
    """By maintenance as well; the dead rows are gone for good."""
    index = FaissIndex(DIM, tiers=Tiers(500))
    add(index, 0, 1_000)
    assert index.maintain()
    index.remove_versions(range(300))
    assert [len(part.segment) for part in index.publish().segments] == [1_000]
    assert index.maintain()
    snapshot = index.publish()
    assert [len(part.segment) for part in snapshot.segments] == [700]
    assert not index.maintain()


def test_a_large_segment_that_became_small_is_exact_again() -> None:
    """Publish rewrites it, as any other sparse segment."""
    index = FaissIndex(DIM, tiers=Tiers(500))
    add(index, 0, 1_000)
    index.maintain()
    index.remove_versions(range(600))
    snapshot = index.publish()
    assert (kinds(snapshot), snapshot.count) == (["flat"], 400)


def test_segments_of_both_kinds_come_back_from_the_store(tmp_path: Path) -> None:
    """With the rows that died, and ready for more."""
    index, files = FaissIndex(DIM, tiers=Tiers(1_000)), FileStore(tmp_path)
    add(index, 0, 1_200)
    index.maintain()
    add(index, 1_200, 100)
    index.remove_versions([7])
    snapshot = index.publish()
    state = snapshot.save(files)
    again = FaissIndex(DIM, tiers=Tiers(1_000))
    again.restore(state, files)
    restored = again.publish()
    assert (kinds(restored), restored.count) == (["ivf", "flat"], 1_299)
    for query in QUERIES[:5]:
        one, other = (found.search(query, top_k=10) for found in (snapshot, restored))
        assert one.chunks.tolist() == other.chunks.tolist()
    assert not again.maintain()


def test_what_it_holds_can_be_listed() -> None:
    """Every row stands in the inverted lists once; the vectors are as exact as half precision is."""
    index = FaissIndex(DIM, tiers=Tiers(1_000))
    keys = np.arange(ROWS)
    index.add(keys, keys // 4, VECTORS)
    index.publish()
    assert index.maintain()
    snapshot = index.publish()
    assert [part.segment.index.kind for part in snapshot.segments] == ["ivf"]
    parts = list(snapshot.contents())
    held, versions, vectors = (np.concatenate([part[place] for part in parts]) for place in range(3))
    assert sorted(held.tolist()) == keys.tolist()
    np.testing.assert_array_equal(versions, held // 4)
    np.testing.assert_allclose(vectors, VECTORS[held], atol=1e-3)
