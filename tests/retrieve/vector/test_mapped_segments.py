"""Merged segments lie in files that are mapped into memory, and the files go with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieve.storage import FileStore
from retrieve.vector import faiss_index, flat
from retrieve.vector.faiss_index import FaissIndex, FaissSnapshot
from retrieve.vector.flat import FlatSegmentIndex
from retrieve.vector.tiers import Tiers

DIM = 8
ROWS = 600


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred vectors are many."""
    monkeypatch.setattr(faiss_index, "MAPPED_FROM_BYTES", 4 * DIM * 100)


def vectors() -> NDArray[np.float32]:
    """float32 of shape (ROWS, DIM), each of length 1."""
    drawn = np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


VECTORS = vectors()


def filled(index: FaissIndex, *, first: int = 0, until: int = ROWS) -> FaissSnapshot:
    """Publish after every fifty rows."""
    for start in range(first, until, 50):
        keys = np.arange(start, start + 50)
        index.add(keys, keys, VECTORS[keys])
        index.publish()
    return index.publish()


def test_merged_segments_are_files_and_search_the_same(tmp_path: Path) -> None:
    """Only what is searched is kept: the files of what was merged away are gone."""
    snapshot = filled(FaissIndex(DIM, folder=tmp_path))
    expected = filled(FaissIndex(DIM))
    large = [part.segment for part in snapshot.segments if len(part.segment) >= 100]
    assert {segment.file for segment in large} == set(tmp_path.iterdir())
    for row in range(0, ROWS, 37):
        found = snapshot.search(VECTORS[row], top_k=5)
        assert found.chunks.tolist() == expected.search(VECTORS[row], top_k=5).chunks.tolist()


def test_a_snapshot_keeps_its_files(tmp_path: Path) -> None:
    """What a search began with stays readable; when nobody has it any more its files are removed."""
    index = FaissIndex(DIM, folder=tmp_path)
    before = filled(index, until=300)
    files = set(tmp_path.iterdir())
    filled(index, first=300)
    assert files <= set(tmp_path.iterdir())
    assert before.search(VECTORS[7], top_k=1).chunks.tolist() == [7]
    del before
    assert not files & set(tmp_path.iterdir())


def test_large_segments_are_mapped_too(tmp_path: Path) -> None:
    """The approximate tier, built beside what serves."""
    index = FaissIndex(DIM, tiers=Tiers(500), folder=tmp_path)
    filled(index)
    assert index.maintain()
    snapshot = index.publish()
    assert [(part.segment.index.kind, part.segment.file) for part in snapshot.segments] == [
        ("ivf", next(tmp_path.iterdir()))
    ]
    assert snapshot.search(VECTORS[11], top_k=1).chunks.tolist() == [11]


def test_stored_files_outlive_the_mapped_ones(tmp_path: Path) -> None:
    """A checkpoint links them instead of writing the vectors again."""
    index, files = FaissIndex(DIM, folder=tmp_path / "work"), FileStore(tmp_path / "stored")
    snapshot = filled(index)
    mapped = [part.segment.file for part in snapshot.segments if part.segment.file is not None]
    state = snapshot.save(files)
    assert [path.stat().st_nlink for path in mapped] == [2] * len(mapped)
    del snapshot
    index.close()
    assert not list((tmp_path / "work").iterdir())
    again = FaissIndex(DIM, folder=tmp_path / "work")
    again.restore(state, files)
    assert again.publish().search(VECTORS[42], top_k=1).chunks.tolist() == [42]


def test_a_file_written_piece_by_piece_is_what_faiss_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, also where the last piece is shorter."""

    class Source:
        """As a merge reads from."""

        def __len__(self) -> int:
            return 250

        def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return VECTORS[rows]

    monkeypatch.setattr(flat, "_ROWS_AT_ONCE", 100)
    assert len(FlatSegmentIndex.written(Source(), tmp_path / "pieces")) == 250
    FlatSegmentIndex.build(VECTORS[:250]).save(tmp_path / "whole")
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()


def test_without_room_segments_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs memory, not answers."""

    def full(source: object, path: Path) -> FlatSegmentIndex:
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FlatSegmentIndex, "written", full)
    snapshot = filled(FaissIndex(DIM, folder=tmp_path))
    assert snapshot.search(VECTORS[42], top_k=1).chunks.tolist() == [42]
    assert not list(tmp_path.iterdir())


def test_many_rows_are_sealed_before_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection that is loaded whole is not gathered in memory first; a rollback forgets what was sealed."""
    monkeypatch.setattr(faiss_index, "_PENDING_MAX", 100)
    index = FaissIndex(DIM)
    before = filled(index, until=50)
    for start in range(50, 450, 50):
        keys = np.arange(start, start + 50)
        index.add(keys, keys, VECTORS[keys])
    index.remove_versions([60])
    assert before.count == 50
    assert index.publish().count == 449
    index.add(np.arange(450, 600), np.arange(450, 600), VECTORS[450:])
    index.rollback()
    assert index.publish().count == 449
