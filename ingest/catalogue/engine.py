"""The catalogue: one SQLite file in WAL mode, one writer thread, any number of readers.

Every change is a function handed to `write`, which runs it in one transaction on the single writer thread: writers
queue instead of colliding, and a change is whole or absent. Reads take their own connection and see a consistent
snapshot. The idea of one writing thread is datasette's (`datasette/database.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Delete,
    Engine,
    Executable,
    Insert,
    Select,
    Table,
    Update,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DatabaseError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ingest.catalogue.migrations import upgrade
from ingest.errors import Overloaded, StorageFull, Unavailable

Result = TypeVar("Result")

_CACHE_KIB = 4_096
"""Of each connection, of which there may be 64; the kernel caches the file for all of them."""
_ANY_TABLE = "*"
"""What a statement counts for whose table is not known."""


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
        self._revisions: Counter[str] = Counter()
        self._watching = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        try:
            with _mapped_errors():
                self._submit(self._migrate).result()
            self._watch = sqlite3.connect(path, check_same_thread=False)
        except BaseException:
            self.close()
            raise

    def state(self) -> int:
        """A number that ascends with every commit to the file, by whatever process. For what others may change too:
        `revision` knows of the changes of this process only, but of which tables they were.
        """
        with self._watching:
            if self._watch is None:
                raise Unavailable("the catalogue is closed: the service is shutting down")
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def revision(self, tables: Sequence[Table]) -> int:
        """A number that is another one after every change of one of these tables.

        Whoever remembers what was read notes the number before reading, and remembers no longer than it stays. It moves
        before a commit and again after it, so nothing read around the commit passes for the present. What a foreign key
        deletes counts for the table that it refers to only.
        """
        return sum(self._revisions[table.name] for table in tables) + self._revisions[_ANY_TABLE]

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
        with self._watching:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
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
        with self._engine.connect() as connection, _changed_tables(connection) as changed:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                self._revisions.update(changed)
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                if _in_transaction(connection):  # on a full disk SQLite has rolled back already
                    connection.exec_driver_sql("ROLLBACK")
                raise
            finally:
                self._revisions.update(changed)
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
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{_CACHE_KIB}"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


@contextmanager
def _changed_tables(connection: Connection) -> Iterator[set[str]]:
    """The names of the tables that statements on this connection change, growing as they are executed."""
    changed: set[str] = set()

    def note(_connection: Connection, statement: Executable, *_: Any) -> None:
        if isinstance(statement, Insert | Update | Delete):
            changed.add(statement.table.name if isinstance(statement.table, Table) else _ANY_TABLE)
        elif not isinstance(statement, Select):
            changed.add(_ANY_TABLE)

    event.listen(connection, "before_execute", note)
    try:
        yield changed
    finally:
        event.remove(connection, "before_execute", note)


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
