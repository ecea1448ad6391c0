"""Scores that a judge gave answers of evaluations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "judge_scores",
        sa.Column("pk", key, autoincrement=True, nullable=False),
        sa.Column("evaluation_pk", key, nullable=False),
        sa.Column("question_id", sa.String(length=400), nullable=False),
        sa.Column("phrasing", sa.Integer(), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("failure", sa.String(length=60), nullable=True),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_judge_scores"),
        sa.ForeignKeyConstraint(
            ["evaluation_pk"], ["evaluations.pk"], name="fk_judge_scores_evaluation_pk", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "evaluation_pk",
            "question_id",
            "phrasing",
            "replicate",
            "metric",
            name="uq_judge_scores_ask_and_metric",
        ),
    )
    op.create_index("ix_judge_scores_key", "judge_scores", ["key"])
