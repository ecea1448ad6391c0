"""Originals: whole or absent, once for equal bytes."""

from __future__ import annotations

import errno
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.blobs import BlobStore
from ingest.errors import StorageFull, TooLarge, Unavailable

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    """An empty store."""
    return BlobStore(tmp_path / "blobs")


class BrokenStream(io.BytesIO):
    """Fails in the middle, as a disk or a client would."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._blocks = iter([b"some bytes"])
        self._number = number

    def read(self, _size: int | None = -1, /) -> bytes:
        try:
            return next(self._blocks)
        except StopIteration:
            raise OSError(self._number, "simulated") from None


def files(store: BlobStore, tmp_path: Path) -> list[str]:
    """Every file below the store, whatever it is."""
    return sorted(path.name for path in (tmp_path / "blobs").rglob("*") if path.is_file())


def test_put_names_a_blob_by_its_hash(store: BlobStore, tmp_path: Path) -> None:
    """Hash, size, first bytes and place are those of the content."""
    blob = store.put(io.BytesIO(b"hello"), max_bytes=5)
    assert (blob.sha256, blob.size_bytes, blob.head) == (HELLO, 5, b"hello")
    assert store.path(HELLO) == tmp_path / "blobs" / "2c" / "f2" / HELLO
    assert store.path(HELLO).read_bytes() == b"hello"
    assert HELLO in store
    assert list(store) == [HELLO]


def test_concurrent_puts_of_equal_and_different_bytes(store: BlobStore, tmp_path: Path) -> None:
    """Sixty puts of six contents leave six whole files and nothing else."""
    contents = [bytes([65 + n % 6]) * 300_000 for n in range(60)]
    with ThreadPoolExecutor(12) as executor:
        blobs = list(executor.map(lambda data: store.put(io.BytesIO(data), max_bytes=1 << 20), contents))
    assert [blob.sha256 for blob in blobs] == [hashlib.sha256(data).hexdigest() for data in contents]
    assert files(store, tmp_path) == sorted({blob.sha256 for blob in blobs})
    assert all(store.path(blob.sha256).read_bytes() == data for blob, data in zip(blobs, contents, strict=True))


def test_too_large_is_refused_and_nothing_kept(store: BlobStore, tmp_path: Path) -> None:
    """One byte over the limit is enough."""
    with pytest.raises(TooLarge, match="limit of 4 bytes"):
        store.put(io.BytesIO(b"hello"), max_bytes=4)
    assert files(store, tmp_path) == []


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, Unavailable)]
)
def test_a_failing_disk_is_named_and_nothing_kept(
    store: BlobStore, tmp_path: Path, number: int, error: type[Exception]
) -> None:
    """No room is told from other failures, and the partial file goes in both cases."""
    with pytest.raises(error):
        store.put(BrokenStream(number), max_bytes=100)
    assert files(store, tmp_path) == []


def test_partial_files_of_a_killed_process_are_discarded(store: BlobStore, tmp_path: Path) -> None:
    """What was being uploaded goes; what was stored stays."""
    store.put(io.BytesIO(b"hello"), max_bytes=5)
    (tmp_path / "blobs" / "incoming" / "half").write_bytes(b"hel")
    assert list(store) == [HELLO]
    store.discard_incoming()
    assert files(store, tmp_path) == [HELLO]


def test_remove_says_whether_the_blob_was_there(store: BlobStore) -> None:
    """The second time it is gone."""
    store.put(io.BytesIO(b"hello"), max_bytes=5)
    assert store.remove(HELLO)
    assert not store.remove(HELLO)
    assert HELLO not in store


def test_paths_are_absolute_also_of_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default data directory is relative; a parser process has another working directory."""
    monkeypatch.chdir(tmp_path)
    store = BlobStore(Path("data") / "blobs")
    blob = store.put(io.BytesIO(b"text"), max_bytes=10)
    monkeypatch.chdir("/")
    assert store.path(blob.sha256).read_bytes() == b"text"
