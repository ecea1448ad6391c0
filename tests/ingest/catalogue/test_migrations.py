"""The chain of migrations makes exactly the tables that the layers declare."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Executable, delete, insert, select, text, update

import api.schema  # noqa: F401 - these three declare tables on the catalogue's MetaData
import eval.schema  # noqa: F401
import generate.schema  # noqa: F401
from ingest.catalogue import Catalogue, metadata, schema
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
        conditions = "SELECT name, substr(sql, instr(sql, 'WHERE') + 6) FROM sqlite_master WHERE type = 'index'"
        query = conditions + " AND sql LIKE '% WHERE %'"
        found = {row.name: row[1] for row in connection.execute(text(query))}
    catalogue.close()
    declared = {
        index.name: str(index.dialect_options["sqlite"]["where"])
        for table in metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert found == declared
    assert set(found) == {
        "uq_documents_live_id",
        "ix_documents_tombstoned",
        "ix_documents_duplicates",
        "ix_documents_credibility_due",
        "ix_job_documents_corpus",
    }


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


def test_collections_count_what_filters_could_see(tmp_path: Path) -> None:
    """Documents that come, change or go, and their access tags, each raise the revision of their collection only."""
    catalogue = Catalogue(tmp_path / "catalogue.sqlite")
    collections, documents, access = schema.collections, schema.documents, schema.document_access

    def revisions_after(*statements: Executable) -> list[int]:
        def change(connection: Connection) -> list[int]:
            for statement in statements:
                connection.execute(statement)
            return list(connection.execute(select(collections.c.revision).order_by(collections.c.pk)).scalars())

        return catalogue.write(change)

    row = {"source_priors": {}, "templates": {}, "live_generation_pk": 1, "created_at": ""}
    assert revisions_after(*(insert(collections).values(name=name, **row) for name in "ab")) == [0, 0]
    row = {"status": "ready", "metadata": {}, "credibility": 0.5, "credibility_source": 0.5, "created_at": ""}
    row |= {"document_id": "d", "collection_pk": 2, "updated_at": ""}
    assert revisions_after(insert(documents).values(pk=7, **row)) == [0, 1]
    assert revisions_after(update(documents).values(metadata={"year": 2025})) == [0, 2]
    assert revisions_after(update(documents).values(status="queued", updated_at="later")) == [0, 2]
    assert revisions_after(insert(access).values(document_pk=7, tag="staff")) == [0, 3]
    assert revisions_after(update(access).values(tag="crew")) == [0, 4]
    assert revisions_after(delete(access)) == [0, 5]
    assert revisions_after(update(documents).values(tombstoned_at="now")) == [0, 6]
    assert revisions_after(delete(documents)) == [0, 7]
    catalogue.close()
