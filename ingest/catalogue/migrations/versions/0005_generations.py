"""Headings of versions, changes that concern one generation only, and revisions of collections."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FILTERED = (
    "live_version_pk, metadata, title, language, media_type, document_id, created_at, credibility, tombstoned_at,"
    " collection_pk"
)
COUNT = "BEGIN UPDATE collections SET revision = revision + 1 WHERE pk = {}; END"
OWNER = "(SELECT collection_pk FROM documents WHERE pk = {}.document_pk)"
TRIGGERS = (
    "documents_inserted AFTER INSERT ON documents " + COUNT.format("NEW.collection_pk"),
    f"documents_updated AFTER UPDATE OF {FILTERED} ON documents " + COUNT.format("NEW.collection_pk"),
    "documents_deleted AFTER DELETE ON documents " + COUNT.format("OLD.collection_pk"),
    "document_access_inserted AFTER INSERT ON document_access " + COUNT.format(OWNER.format("NEW")),
    "document_access_updated AFTER UPDATE ON document_access " + COUNT.format(OWNER.format("NEW")),
    "document_access_deleted AFTER DELETE ON document_access " + COUNT.format(OWNER.format("OLD")),
)


def upgrade() -> None:
    """Add the columns, and the triggers that count a collection's revisions."""
    op.add_column("versions", sa.Column("headings", sa.JSON()))
    op.add_column("index_change", sa.Column("generation_pk", KEY))
    op.add_column("collections", sa.Column("revision", KEY, nullable=False, server_default="0"))
    for trigger in TRIGGERS:
        op.execute(f"CREATE TRIGGER {trigger}")
