"""Marks of documents whose credibility has to be recomputed, and which documents support which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NEW_TEXT_DUE = 3


def upgrade() -> None:
    """Every document that is there is looked at once."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("documents", sa.Column("credibility_due", sa.Integer(), nullable=False, server_default="0"))
    due = sa.text("credibility_due > 0")
    op.create_index(
        "ix_documents_credibility_due", "documents", ["credibility_due"], sqlite_where=due, postgresql_where=due
    )
    op.execute(f"UPDATE documents SET credibility_due = {_NEW_TEXT_DUE} WHERE live_version_pk IS NOT NULL")  # noqa: S608
    op.create_table(
        "corroborations",
        sa.Column("document_pk", key, nullable=False),
        sa.Column("supporter_pk", key, nullable=False),
        sa.PrimaryKeyConstraint("document_pk", "supporter_pk", name="pk_corroborations"),
        sa.ForeignKeyConstraint(
            ["document_pk"], ["documents.pk"], name="fk_corroborations_document_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["supporter_pk"], ["documents.pk"], name="fk_corroborations_supporter_pk", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_corroborations_supporter_pk", "corroborations", ["supporter_pk"])
