"""Finding files and grouping them into requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.client import UploadFile, find_files
from api.client.uploads import in_batches
from ingest.errors import InvalidInput


def _folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_files_in_folders_are_named_by_their_relative_path(tmp_path: Path) -> None:
    """Sorted; hidden files and folders are passed over, unless named themselves."""
    folder = _folder(tmp_path / "docs", "b.txt", "a/c.txt", ".git/config", "a/.hidden")
    hidden = _folder(tmp_path, ".note.txt") / ".note.txt"
    ids = [file.document_id for file in find_files([folder, hidden])]
    assert ids == ["a/c.txt", "b.txt", ".note.txt"]


def test_the_same_file_twice_is_sent_once(tmp_path: Path) -> None:
    """Also when it is reached on two ways."""
    folder = _folder(tmp_path, "a.txt")
    assert len(find_files([folder, folder / "a.txt", folder / ".." / folder.name / "a.txt"])) == 1


def test_all_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    """Missing paths, and two files that would get one id."""
    _folder(tmp_path, "x/a.txt", "y/a.txt")
    with pytest.raises(InvalidInput, match=r"no-such does not exist; .*would both be called 'a\.txt'"):
        find_files([tmp_path / "no-such", tmp_path / "x", tmp_path / "y"])


def test_no_file_at_all_is_an_error(tmp_path: Path) -> None:
    """An empty folder."""
    with pytest.raises(InvalidInput, match="no file") as nothing:
        find_files([tmp_path])
    assert nothing.value.code == "no_files"


def test_batches_are_bounded_by_count_and_bytes(tmp_path: Path) -> None:
    """Up to 50 files, then 100, and 64 MiB; a larger file goes alone. Order is kept."""
    files = [UploadFile(path, path.name) for path in sorted(_folder(tmp_path, *map(str, range(100, 280))).iterdir())]
    assert [len(batch) for batch in in_batches(files)] == [50, 100, 30]
    assert max(len(batch) for batch in in_batches(files * 10)) == 500
    with files[1].path.open("wb") as large:
        large.truncate(65 << 20)
    batches = list(in_batches(files[:4]))
    assert [len(batch) for batch in batches] == [1, 1, 2]
    assert [file for batch in batches for file in batch] == files[:4]
