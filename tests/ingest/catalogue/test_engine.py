"""The catalogue: one writer, whole changes, consistent reads, named errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from ingest.catalogue import Catalogue, schema
from ingest.errors import StorageFull, Unavailable


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """An empty catalogue."""
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    yield opened
    opened.close()


def add_receipt(connection: Connection, receipt_id: str, collection: str = "c") -> None:
    """Any small row will do."""
    row = {"state": "tombstoned", "documents": 0, "removed": {}, "created_at": "2026"}
    connection.execute(insert(schema.receipts).values(receipt_id=receipt_id, collection=collection, **row))


def receipts(connection: Connection) -> list[str]:
    """The ids stored, sorted."""
    return sorted(connection.execute(select(schema.receipts.c.receipt_id)).scalars())


def test_an_exception_undoes_the_whole_change(catalogue: Catalogue) -> None:
    """Nothing of a change that raises is stored, and the next one works."""

    def breaks_off(connection: Connection) -> None:
        add_receipt(connection, "a")
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        catalogue.write(breaks_off)
    catalogue.write(lambda connection: add_receipt(connection, "b"))
    with catalogue.read() as connection:
        assert receipts(connection) == ["b"]


def test_all_changes_run_on_one_thread(catalogue: Catalogue) -> None:
    """Sixteen callers queue instead of colliding."""

    def change(number: int) -> int:
        def record(connection: Connection) -> int:
            add_receipt(connection, f"{number:02}")
            return threading.get_ident()

        return catalogue.write(record)

    with ThreadPoolExecutor(16) as executor:
        threads = set(executor.map(change, range(64)))
    assert len(threads) == 1
    with catalogue.read() as connection:
        assert receipts(connection) == [f"{number:02}" for number in range(64)]


def test_a_change_inside_a_change_is_a_mistake(catalogue: Catalogue) -> None:
    """It would wait for itself for ever."""
    with pytest.raises(RuntimeError, match="pass its connection on"):
        catalogue.write(lambda _: catalogue.write(lambda connection: None))


def test_a_read_sees_one_state(catalogue: Catalogue) -> None:
    """A commit between two statements of one read does not show in the second."""
    with catalogue.read() as connection:
        assert receipts(connection) == []
        catalogue.write(lambda other: add_receipt(other, "a"))
        assert receipts(connection) == []
    with catalogue.read() as connection:
        assert receipts(connection) == ["a"]


def test_a_full_disk_is_named_and_nothing_is_stored(catalogue: Catalogue) -> None:
    """SQLite's own limit of pages stands for the disk's."""

    def fill(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count = 1"))  # becomes the present size
        for number in range(1000):
            add_receipt(connection, f"{number}", "x" * 100)

    def free(connection: Connection) -> None:
        connection.execute(text("PRAGMA max_page_count = 1000000"))

    with pytest.raises(StorageFull):
        catalogue.write(fill)
    catalogue.write(free)
    catalogue.write(lambda connection: add_receipt(connection, "a"))
    with catalogue.read() as connection:
        assert receipts(connection) == ["a"]


def test_a_broken_invariant_is_no_storage_error(catalogue: Catalogue) -> None:
    """A row given twice is the program's mistake; it must not read like an unavailable disk."""
    catalogue.write(lambda connection: add_receipt(connection, "a"))
    with pytest.raises(IntegrityError):
        catalogue.write(lambda connection: add_receipt(connection, "a"))


def test_foreign_keys_hold(catalogue: Catalogue) -> None:
    """SQLite checks them only when told to."""
    row = {"version_pk": 7, "text": "of no version"}
    with pytest.raises(IntegrityError):
        catalogue.write(lambda connection: connection.execute(insert(schema.version_texts).values(**row)))


def test_a_file_that_is_no_catalogue_is_unavailable(tmp_path: Path) -> None:
    """The message is ours, not the driver's."""
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"this is not a database, but it is long enough to be looked at" * 20)
    with pytest.raises(Unavailable, match="not a database"):
        Catalogue(path)


def test_after_close_writes_are_refused(tmp_path: Path) -> None:
    """A late caller is told that the service is shutting down."""
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    catalogue.ping()
    catalogue.close()
    with pytest.raises(Unavailable, match="shutting down"):
        catalogue.write(lambda connection: None)


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    """Closing loses nothing."""
    first = Catalogue(tmp_path / "catalogue.sqlite")
    first.write(lambda connection: add_receipt(connection, "a"))
    first.close()
    second = Catalogue(tmp_path / "catalogue.sqlite")
    with second.read() as connection:
        assert receipts(connection) == ["a"]
    second.close()


def test_a_revision_moves_with_its_tables_only(catalogue: Catalogue) -> None:
    """A change of receipts says nothing of documents; a statement of an unknown kind says it of everything."""
    receipts_then, documents_then = catalogue.revision([schema.receipts]), catalogue.revision([schema.documents])
    catalogue.write(lambda connection: add_receipt(connection, "a"))
    assert catalogue.revision([schema.receipts]) != receipts_then
    assert catalogue.revision([schema.documents]) == documents_then
    catalogue.write(lambda connection: connection.execute(text("DELETE FROM receipts")))
    assert catalogue.revision([schema.documents]) != documents_then


def test_a_revision_moves_before_the_commit_and_after_it(catalogue: Catalogue) -> None:
    """What another thread reads while a change is being made is not taken for what is there afterwards."""
    seen: list[int] = []

    def change(connection: Connection) -> None:
        seen.append(catalogue.revision([schema.receipts]))
        add_receipt(connection, "a")

    catalogue.write(change)
    assert catalogue.revision([schema.receipts]) == seen[0] + 2
