"""Versions found by the time of their end, so that history can be let go without reading all of it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the end of versions; a failed version that was replaced since ended now."""
    op.create_index("ix_versions_retired_at", "versions", ["retired_at"])
    op.execute(
        "UPDATE versions SET retired_at = created_at WHERE state = 'failed' AND retired_at IS NULL AND EXISTS ("
        "SELECT 1 FROM versions AS newer"
        " WHERE newer.document_pk = versions.document_pk AND newer.version > versions.version)"
    )
