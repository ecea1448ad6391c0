"""Question sets, evaluations that can be resumed and gated, and blessed baselines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the new tables, and widen `evaluations`."""
    op.create_table(
        "question_sets",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("questions", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("put_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_question_sets"),
        sa.UniqueConstraint("name", "sha256", name="uq_question_sets_name_sha256"),
    )
    for column in (
        sa.Column("question_set", sa.String(length=100), nullable=True),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("access", sa.JSON(), nullable=True),
        sa.Column("generation_pk", KEY, nullable=True),
        sa.Column("nightly", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("environment", sa.JSON(), nullable=True),
        sa.Column("stale", sa.JSON(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("gate", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.String(length=32), nullable=True),
    ):
        op.add_column("evaluations", column)
    op.create_table(
        "evaluation_row_documents",
        sa.Column("row_pk", KEY, nullable=False),
        sa.Column("document_pk", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["row_pk"], ["evaluation_rows.pk"], name="fk_evaluation_row_documents_row_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("row_pk", "document_pk", name="pk_evaluation_row_documents"),
    )
    op.create_index("ix_evaluation_row_documents_document_pk", "evaluation_row_documents", ["document_pk"])
    op.create_table(
        "baselines",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("baseline_id", sa.String(length=64), nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("question_set", sa.String(length=100), nullable=False),
        sa.Column("question_set_sha256", sa.String(length=64), nullable=False),
        sa.Column("evaluation_ids", sa.JSON(), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_baselines_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_baselines"),
        sa.UniqueConstraint("baseline_id", name="uq_baselines_baseline_id"),
    )
    op.create_index("ix_baselines_collection_pk", "baselines", ["collection_pk"])
