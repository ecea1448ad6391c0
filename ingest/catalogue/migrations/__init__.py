"""Numbered migrations of the whole catalogue, one linear chain for all layers (Alembic).

A migration spells its tables out: it must stay as it is when the code moves on. A test compares the chain's outcome
with the tables that the layers declare.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Engine, text

from ingest.errors import Unavailable


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the catalogue to `revision`; all migrations of one call are one transaction.

    Raises `Unavailable` when a newer citewell wrote the catalogue.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        connection.execute(text("BEGIN IMMEDIATE"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as unknown:
            connection.exec_driver_sql("ROLLBACK")
            raise Unavailable(
                f"the catalogue was written by another version of citewell ({unknown}); run that one, or a newer"
            ) from unknown
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
