"""Originals: a content-addressed folder, one file a distinct SHA-256, two levels of folders."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ingest.errors import StorageFull, TooLarge, Unavailable

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored original: its SHA-256 (hex), its size and its first bytes (for sniffing the media type)."""

    sha256: str
    size_bytes: int
    head: bytes


class BlobStore:
    """Keeps originals below `folder`. Safe for concurrent writers: a blob appears whole, by rename, or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()  # parser processes have another working directory
        self._incoming = self._folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put(self, stream: BinaryIO, *, max_bytes: int) -> Blob:
        """Store all of `stream`; the same bytes are stored once.

        Raises `TooLarge` beyond `max_bytes`, `StorageFull` when the disk has no room, `Unavailable` when it cannot be
        written for another reason; then nothing is kept.
        """
        partial = self._incoming / secrets.token_hex(16)
        try:
            with partial.open("xb") as target:
                blob = _copy(stream, target, max_bytes)
                if self._holds(blob):
                    return blob
                target.flush()
                os.fsync(target.fileno())
            self._publish(partial, blob.sha256)
        except OSError as failure:
            if failure.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("the disk of the data directory is full; the upload was not stored") from failure
            raise Unavailable(f"the upload could not be stored: {failure}") from failure
        finally:
            partial.unlink(missing_ok=True)
        return blob

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Where the blob lies; whether it is there is for the caller to find out by opening it."""
        return self._folder / sha256[:2] / sha256[2:4] / sha256

    def remove(self, sha256: str) -> bool:
        """Delete the blob; returns whether it was there."""
        try:
            self.path(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def discard_incoming(self) -> None:
        """Delete what an interrupted upload left; only for the owner of the data directory, before it serves."""
        for partial in self._incoming.iterdir():
            partial.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        """The SHA-256 of every stored blob."""
        for path in self._folder.glob("??/??/*"):
            yield path.name

    def _holds(self, blob: Blob) -> bool:
        """Whether the same bytes are stored already, in full."""
        try:
            return self.path(blob.sha256).stat().st_size == blob.size_bytes
        except FileNotFoundError:
            return False

    def _publish(self, partial: Path, sha256: str) -> None:
        target = self.path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, target)
        _sync_folder(target.parent)


def _copy(source: BinaryIO, target: BinaryIO, max_bytes: int) -> Blob:
    digest, size, head = hashlib.sha256(), 0, b""
    while block := source.read(_BLOCK_BYTES):
        size += len(block)
        if size > max_bytes:
            raise TooLarge(f"the file is larger than the limit of {max_bytes:,} bytes; split it or raise the limit")
        head = head or block[:8192]
        digest.update(block)
        target.write(block)
    return Blob(digest.hexdigest(), size, head)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
