"""The chain of migrations makes exactly the tables that the layers declare."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

import api.schema  # noqa: F401 - these three declare tables on the catalogue's MetaData
import eval.schema  # noqa: F401
import generate.schema  # noqa: F401
from ingest.catalogue import Catalogue, metadata
from ingest.errors import Unavailable


def test_migrations_and_declared_tables_are_equal(tmp_path: Path) -> None:
    """Autogenerate finds nothing to do after the chain has run; foreign keys, types and indexes included."""
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    with catalogue.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    catalogue.close()


def test_partial_indexes_have_the_declared_conditions(tmp_path: Path) -> None:
    """Autogenerate does not compare conditions, and without them a document id could be used only once."""
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    with catalogue.read() as connection:
        query = "SELECT name, substr(sql, instr(sql, 'WHERE') + 6) FROM sqlite_master WHERE sql LIKE '% WHERE %'"
        found = {row.name: row[1] for row in connection.execute(text(query))}
    catalogue.close()
    declared = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert found == declared
    assert set(found) == {"uq_documents_live_id", "ix_documents_tombstoned", "ix_job_documents_corpus"}


def test_a_catalogue_of_a_newer_citewell_is_refused(tmp_path: Path) -> None:
    """An unknown revision is reported, and left alone."""
    path = tmp_path / "catalogue.sqlite"
    first = Catalogue(path)
    first.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    first.close()
    with pytest.raises(Unavailable, match="another version of citewell"):
        Catalogue(path)


def test_no_key_is_given_twice(tmp_path: Path) -> None:
    """A purged version's key, reused, would bring its entries in indexes and traces back to life."""
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    with catalogue.read() as connection:
        query = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
        found = set(connection.execute(text(query)).scalars())
    catalogue.close()
    assert found == {table.name for table in metadata.tables.values() if table.dialect_kwargs["sqlite_autoincrement"]}
    assert found >= {"collections", "generations", "documents", "versions", "chunks", "jobs", "job_documents"}
