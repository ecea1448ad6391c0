"""The folder of a generation's indexes: immutable files, checksums, one manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieve.storage import Checksum, DamagedIndex, FileStore, IndexFolder, Manifest


def write(text: str):
    """A writer of that text."""

    def into(path: Path) -> None:
        path.write_text(text)

    return into


def manifest(folder: IndexFolder, *names: str, seq: int = 7) -> Manifest:
    """One that names these files."""
    return Manifest("me", seq, "now", {"files": list(names)}, {"files": []}, folder.files.checksums(names))


def test_what_is_published_is_read_again(tmp_path: Path) -> None:
    """Equal to the last bit; before the first publication there is nothing."""
    folder = IndexFolder(tmp_path / "7")
    assert folder.read() is None
    folder.files.put("a", write("alpha"))
    published = manifest(folder, "a")
    folder.publish(published)
    assert IndexFolder(tmp_path / "7").read() == published


def test_a_stored_name_is_not_written_again(tmp_path: Path) -> None:
    """Whoever names files, names contents: the second writer is not even called."""
    folder = IndexFolder(tmp_path)
    folder.files.put("a", write("alpha"))
    folder.publish(manifest(folder, "a"))
    again = IndexFolder(tmp_path)
    again.read()
    again.files.put("a", write("other"))
    assert again.files.path("a").read_text() == "alpha"


def test_files_without_a_manifest_are_written_anew(tmp_path: Path) -> None:
    """What a killed process left behind counts for nothing."""
    FileStore(tmp_path).put("a", write("half"))
    store = FileStore(tmp_path)
    store.put("a", write("whole"))
    assert store.path("a").read_text() == "whole"


def test_held_files_survive_their_owner(tmp_path: Path) -> None:
    """The owner may delete them; a file that is gone already is told."""
    store, source = FileStore(tmp_path / "files"), tmp_path / "source"
    source.write_text("mine")
    store.hold("a", source)
    source.unlink()
    assert store.path("a").read_text() == "mine"
    with pytest.raises(FileNotFoundError):
        store.hold("b", source)


def test_publishing_removes_what_is_no_longer_named(tmp_path: Path) -> None:
    """So does a start, with what was written after the last publication."""
    folder = IndexFolder(tmp_path)
    for name in "ab":
        folder.files.put(name, write(name))
    folder.publish(manifest(folder, "a"))
    assert [path.name for path in folder.files.folder.iterdir()] == ["a"]
    folder.files.put("c", write("c"))
    IndexFolder(tmp_path).read()
    assert [path.name for path in folder.files.folder.iterdir()] == ["a"]


def test_a_failed_write_stores_nothing(tmp_path: Path) -> None:
    """On a full disk no half file stays under any name."""
    store = FileStore(tmp_path)

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="space"):
        store.put("a", fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(b"\x00" + path.read_bytes()[1:]), "checksum"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, damage, message: str) -> None:
    """Missing, shorter, changed."""
    folder = IndexFolder(tmp_path)
    folder.files.put("a", write("alpha"))
    folder.publish(manifest(folder, "a"))
    damage(folder.files.path("a"))
    with pytest.raises(DamagedIndex, match=message):
        IndexFolder(tmp_path).read()


def test_a_changed_manifest_is_told(tmp_path: Path) -> None:
    """Whatever byte of it is changed, and wherever it is cut."""
    folder = IndexFolder(tmp_path)
    folder.files.put("a", write("alpha"))
    folder.publish(manifest(folder, "a"))
    path = tmp_path / "manifest.json"
    good = path.read_bytes()
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        for bad in (bytes(changed), good[:place]):
            path.write_bytes(bad)
            with pytest.raises(DamagedIndex):
                IndexFolder(tmp_path).read()


def test_another_format_is_not_read(tmp_path: Path) -> None:
    """A later version's folder is built anew instead of misread."""
    folder = IndexFolder(tmp_path)
    folder.publish(manifest(folder))
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(DamagedIndex, match="format"):
        folder.read()


def test_the_working_folder_is_empty_at_every_start(tmp_path: Path) -> None:
    """Nothing in it outlives the process."""
    (IndexFolder(tmp_path).fresh_working_folder() / "x").write_text("x")
    assert list(IndexFolder(tmp_path).fresh_working_folder().iterdir()) == []


def test_checksums_are_sha256(tmp_path: Path) -> None:
    """As `sha256sum` prints them."""
    (tmp_path / "a").write_text("abc")
    assert Checksum.of(tmp_path / "a") == Checksum(
        3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
