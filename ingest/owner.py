"""One owner per data directory: a lock file that a living process holds and that says where it serves.

The lock is the operating system's (it ends with the process, however that ends); the URL beside it is only believed
while the lock is held.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from ingest.errors import Conflict

DEFAULT_FOLDER = Path(".citewell")
"""The data directory where none is named; here, so that a command need not load the settings to find it."""
_PATIENCE_S = 0.5
"""`owner_url` of another process holds the lock for a moment; that must not look like an owner."""


class DataDirectory:
    """The folder of one installation. `own` takes it; `owner_url` says who has it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / "owner.lock")
        self._note = path / "owner.json"

    def own(self) -> Ownership:
        """Take the directory. Raises `Conflict`, naming the owner, when another process has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_PATIENCE_S, poll_interval=0.02)
        except Timeout as held:
            where = self.owner_url() or "an unknown address"
            raise Conflict(
                f"{self.path} is in use by another citewell process serving at {where}; talk to it, or stop it first",
                code="data_directory_in_use",
            ) from held
        self._note.unlink(missing_ok=True)
        return Ownership(self._lock, self._note)

    def owner_url(self) -> str | None:
        """The base URL of the living owner; None when there is no owner, or when it serves none (a CLI command)."""
        if not self._held_by_another():
            return None
        try:
            return str(json.loads(self._note.read_text())["url"])
        except (OSError, ValueError, KeyError):
            return None

    def _held_by_another(self) -> bool:
        if not self.path.is_dir():
            return False
        probe = FileLock(self.path / "owner.lock")
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        probe.release()
        return False


class Ownership:
    """A held directory; a context manager that gives it back."""

    def __init__(self, lock: FileLock, note: Path) -> None:
        self._lock = lock
        self._note = note

    def announce(self, url: str) -> None:
        """Write the base URL where other processes look for it."""
        partial = self._note.with_suffix(".partial")
        partial.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        os.replace(partial, self._note)

    def release(self) -> None:
        self._note.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Ownership:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
