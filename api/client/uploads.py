"""Files on their way to the server: found in folders, named by relative path, sent some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import InvalidInput

_FIRST_BATCH_FILES = 50
_BATCH_FILES_MAX = 500
_BATCH_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A file to send and the `document_id` it gets."""

    path: Path
    document_id: str


def find_files(paths: Iterable[Path]) -> list[UploadFile]:
    """The named files, and those below the named folders, in order; hidden ones only where named themselves.

    A file is called by its name, a file in a folder by its path below that folder. Raises `InvalidInput`, naming all
    that is wrong, for paths that do not exist, for two files with one id, and when there is no file at all.
    """
    found: dict[str, Path] = {}
    wrong = []
    for path in paths:
        if not path.exists():
            wrong.append(f"{path} does not exist")
        for file, document_id in _files_of(path):
            first = found.setdefault(document_id, file)
            if first is not file and first.resolve() != file.resolve():
                wrong.append(f"{first} and {file} would both be called {document_id!r}; give a folder above them")
    if wrong:
        raise InvalidInput("; ".join(wrong), code="invalid_path")
    if not found:
        raise InvalidInput("there is no file to ingest in the given paths", code="no_files")
    return [UploadFile(path, document_id) for document_id, path in found.items()]


def in_batches(files: Iterable[UploadFile]) -> Iterator[list[UploadFile]]:
    """Groups for one request each: up to 64 MiB, a larger file alone, and up to 50 files, then twice as many each time.

    So the first documents are ingested at once, and a large folder takes few requests.
    """
    batch: list[UploadFile] = []
    size, most = 0, _FIRST_BATCH_FILES
    for file in files:
        file_bytes = file.path.stat().st_size
        if batch and (len(batch) == most or size + file_bytes > _BATCH_BYTES):
            yield batch
            batch, size, most = [], 0, min(2 * most, _BATCH_FILES_MAX)
        batch.append(file)
        size += file_bytes
    if batch:
        yield batch


def _files_of(path: Path) -> Iterator[tuple[Path, str]]:
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in relative.parts):
                yield file, relative.as_posix()
