"""Documents that say nearly the same: their signatures, and the original that each is linked to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Documents ingested before get their signature with their next version."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("documents", sa.Column("duplicate_of_pk", key))
    linked = sa.text("duplicate_of_pk IS NOT NULL")
    op.create_index(
        "ix_documents_duplicates", "documents", ["duplicate_of_pk"], sqlite_where=linked, postgresql_where=linked
    )
    op.create_table(
        "signatures",
        sa.Column("version_pk", key, nullable=False),
        sa.Column("document_pk", key, nullable=False),
        sa.Column("minima", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version_pk", name="pk_signatures"),
        sa.ForeignKeyConstraint(["version_pk"], ["versions.pk"], name="fk_signatures_version_pk", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["document_pk"], ["documents.pk"], name="fk_signatures_document_pk", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_signatures_document_pk", "signatures", ["document_pk"])
    op.create_table(
        "signature_bands",
        sa.Column("collection_pk", key, nullable=False),
        sa.Column("band", sa.BigInteger(), nullable=False),
        sa.Column("version_pk", key, nullable=False),
        sa.PrimaryKeyConstraint("collection_pk", "band", "version_pk", name="pk_signature_bands"),
        sa.ForeignKeyConstraint(
            ["version_pk"], ["signatures.version_pk"], name="fk_signature_bands_version_pk", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_signature_bands_version_pk", "signature_bands", ["version_pk"])
