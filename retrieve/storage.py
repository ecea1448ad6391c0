"""The folder of one generation's indexes on disk: immutable, checksummed files, and one manifest that names them.

A file is written under a name of its own and never changed; the manifest, replaced by an atomic rename, says which
files make up the indexes as of which change of the log. So a kill at any moment leaves the manifest before or the one
after, each with its files. What it does not name is garbage, removed after the next publication and at the next start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_MANIFEST = "manifest.json"
_FORMAT = 1
_PART = ".part"
_COPY_ATTEMPTS = 20

State = dict[str, Any]
"""What an engine writes about itself into the manifest: JSON; `files` are the names of all its stored files."""


class DamagedIndex(Exception):
    """A stored index cannot be used: missing, truncated or changed. It is derived data: build it from the catalogue."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """Size in bytes and hex SHA-256 of a file."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Checksum:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return cls(os.fstat(file.fileno()).st_size, digest)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Both engines' states as of change `seq` of the log, which was made at `changed_at` (empty before the first).

    `identity` names what the indexes were built from and by: another identity is another index. `files` are the names
    and checksums of all files that the states name.
    """

    identity: str
    seq: int
    changed_at: str
    vector: State
    lexical: State
    files: Mapping[str, Checksum]


class FileStore:
    """Immutable files by name. A name that is stored is not written again: whoever names files, names contents."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checksums: dict[str, Checksum] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self.folder / name

    def put(self, name: str, write: Callable[[Path], None]) -> str:
        """Have `write` make the file, unless it is stored; returns the name. Raises `OSError`, and stores nothing."""
        if name not in self._checksums:
            part = self.folder / (name + _PART)
            try:
                write(part)
                _sync(part)
                part.replace(self.path(name))
            finally:
                part.unlink(missing_ok=True)
        return name

    def hold(self, name: str, source: Path) -> str:
        """Keep a file that its owner never changes but may delete: by a hard link, or where there are none by a copy.

        Raises `FileNotFoundError` when it is gone already.
        """
        if name not in self._checksums:
            self.path(name).unlink(missing_ok=True)
            _link(source, self.path(name))
            _sync(self.path(name))
        return name

    def checksums(self, names: Iterable[str]) -> dict[str, Checksum]:
        """Checksums of stored files; each file is read once in its life."""
        for name in set(names) - set(self._checksums):
            self._checksums[name] = Checksum.of(self.path(name))
        return {name: self._checksums[name] for name in names}

    def verify(self, files: Mapping[str, Checksum]) -> None:
        """Raises `DamagedIndex` unless every file is there with its checksum."""
        for name, expected in files.items():
            path = self.path(name)
            if not path.is_file():
                raise DamagedIndex(f"{name} is missing")
            found = Checksum.of(path)
            if found.bytes != expected.bytes:
                raise DamagedIndex(f"{name} has {found.bytes:,} bytes instead of {expected.bytes:,}")
            if found != expected:
                raise DamagedIndex(f"{name} does not have its checksum")
            self._checksums[name] = found

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove every other file. What is still mapped into memory stays readable there."""
        kept = set(names)
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
                self._checksums.pop(path.name, None)


class IndexFolder:
    """Stored files, the manifest, and a working place that is emptied at every start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = FileStore(path / "files")

    def fresh_working_folder(self) -> Path:
        """An empty folder for files of an engine at work; nothing in it outlives the process."""
        working = self.path / "working"
        shutil.rmtree(working, ignore_errors=True)
        working.mkdir(parents=True)
        return working

    def read(self) -> Manifest | None:
        """The published manifest, all its files verified; None if there is none. Raises `DamagedIndex`."""
        path = self.path / _MANIFEST
        if not path.exists():
            return None
        manifest = _parse(path.read_bytes())
        self.files.verify(manifest.files)
        self.files.keep_only(manifest.files)
        return manifest

    def publish(self, manifest: Manifest) -> None:
        """Make the manifest the one that a start reads, then remove what it does not name. Raises `OSError`."""
        body = asdict(manifest)
        checksum = _body_checksum(body)
        part = self.path / (_MANIFEST + _PART)
        part.write_text(json.dumps({"format": _FORMAT, "sha256": checksum, "body": body}))
        _sync(part)
        _sync(self.files.folder)
        part.replace(self.path / _MANIFEST)
        _sync(self.path)
        self.files.keep_only(manifest.files)

    def copied(self, path: Path) -> IndexFolder | None:
        """What is published, in a folder of its own, for whoever looks at an index that another process works on.

        Files are linked, where the disk can. None if nothing is published. Raises `DamagedIndex`.
        """
        for _ in range(_COPY_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):  # another manifest was published meanwhile
                return self._copied(path)
        raise DamagedIndex("files that the manifest names are missing")

    def _copied(self, path: Path) -> IndexFolder | None:
        if not (self.path / _MANIFEST).exists():
            return None
        text = (self.path / _MANIFEST).read_bytes()
        copy = IndexFolder(path)
        for name in _parse(text).files:
            copy.files.hold(name, self.files.path(name))
        (path / _MANIFEST).write_bytes(text)
        return copy

    def clear(self) -> None:
        """Forget all that is stored; the manifest goes first, so that it never names what is gone."""
        (self.path / _MANIFEST).unlink(missing_ok=True)
        self.files.keep_only(())

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _parse(data: bytes) -> Manifest:
    try:
        envelope = json.loads(data)
        body = envelope["body"]
        if envelope["format"] != _FORMAT or envelope["sha256"] != _body_checksum(body):
            raise DamagedIndex("the manifest does not have its checksum, or is of another format")
        files = {name: Checksum(**checksum) for name, checksum in body.pop("files").items()}
        return Manifest(**body, files=files)
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise DamagedIndex(f"the manifest cannot be read: {failure}") from failure


def _body_checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
