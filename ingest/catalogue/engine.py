"""The catalogue: one SQLite file in WAL mode, one writer thread, any number of readers.

Every change is a function handed to `write`, which runs it in one transaction on the single writer thread: writers
queue instead of colliding, and a change is whole or absent. Reads take their own connection and see a consistent
snapshot. The idea of one writing thread is datasette's (`datasette/database.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ingest.catalogue.migrations import upgrade
from ingest.errors import Overloaded, StorageFull, Unavailable

Result = TypeVar("Result")


class Catalogue:
    """Opens (and migrates) the catalogue at `path`; `close` waits for the last write.

    Raises `Unavailable` when the file cannot be opened, `StorageFull` when a write finds no room on the disk (in both
    cases the transaction was rolled back), `Overloaded` when all connections for reading are taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = _open(path)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="catalogue-writer")
        self._writer_thread: int | None = None
        try:
            with _mapped_errors():
                self._submit(self._migrate).result()
        except BaseException:
            self.close()
            raise

    def write(self, change: Callable[[Connection], Result]) -> Result:
        """Run `change` in one transaction on the writer thread and return its result; an exception rolls back."""
        if threading.get_ident() == self._writer_thread:
            raise RuntimeError("a change may not start another one: pass its connection on")
        with _mapped_errors():
            return self._submit(lambda: self._in_transaction(change)).result()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; all its statements see one state of the catalogue."""
        with _mapped_errors(), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def ping(self) -> None:
        """Raise `Unavailable` unless the catalogue answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self._writer.shutdown(wait=True)
        self._engine.dispose()

    def _submit(self, task: Callable[[], Result]) -> Future[Result]:
        try:
            return self._writer.submit(task)
        except RuntimeError as stopped:
            raise Unavailable("the catalogue is closed: the service is shutting down") from stopped

    def _migrate(self) -> None:
        self._writer_thread = threading.get_ident()
        upgrade(self._engine)

    def _in_transaction(self, change: Callable[[Connection], Result]) -> Result:
        with self._engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            try:
                result = change(connection)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                if _in_transaction(connection):  # on a full disk SQLite has rolled back already
                    connection.exec_driver_sql("ROLLBACK")
                raise
            return result


def _open(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        isolation_level="AUTOCOMMIT",  # transactions are ours: pysqlite would begin them too late
        connect_args={"check_same_thread": False, "timeout": 30},
        pool_size=16,
        max_overflow=48,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16384"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _in_transaction(connection: Connection) -> bool:
    driver = connection.connection.driver_connection
    return isinstance(driver, sqlite3.Connection) and driver.in_transaction


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as busy:
        raise Overloaded("every connection to the catalogue is in use; try again in a moment") from busy
    except (IntegrityError, ProgrammingError):
        raise  # ours: a mistake in the program, not of the disk or the file
    except DatabaseError as failure:
        if "full" in str(failure.orig):
            raise StorageFull(
                "the disk of the data directory is full; nothing was stored: free space, then retry"
            ) from failure
        raise Unavailable(f"the catalogue cannot be used: {failure.orig}") from failure
