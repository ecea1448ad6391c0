"""Progress of each stage of a job; where a synchronised document came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns, and find synchronised documents by where they came from."""
    op.add_column("jobs", sa.Column("stages", sa.JSON()))
    op.add_column("documents", sa.Column("origin", sa.String(400)))
    op.create_index("ix_documents_origin", "documents", ["collection_pk", "origin"])
