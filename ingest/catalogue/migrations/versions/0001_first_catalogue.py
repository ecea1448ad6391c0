"""The first catalogue: all tables of ingest, generate, eval and api."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("collections", sa.JSON(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("revoked_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("secret_sha256", name="uq_api_keys_secret_sha256"),
    )
    op.create_table(
        "collections",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("source_priors", sa.JSON(), nullable=False),
        sa.Column("templates", sa.JSON(), nullable=False),
        sa.Column("live_generation_pk", KEY, nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("tombstoned_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("pk", name="pk_collections"),
        sa.UniqueConstraint("name", name="uq_collections_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "generations",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("generation", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("embedder_revision", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("chunk_tokens", sa.Integer(), nullable=False),
        sa.Column("overlap_tokens", sa.Integer(), nullable=False),
        sa.Column("analyser", sa.Text(), nullable=False),
        sa.Column("index_kind", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("pk", name="pk_generations"),
        sa.UniqueConstraint("collection", "generation", name="uq_generations_collection_generation"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "index_change",
        sa.Column("seq", KEY, autoincrement=True, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("add_version_pk", KEY, nullable=True),
        sa.Column("retire_version_pk", KEY, nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_index_change"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_index_change_collection_pk_seq", "index_change", ["collection_pk", "seq"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("receipt_id", sa.String(length=64), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column("removed", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("purged_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("receipt_id", name="pk_receipts"),
    )
    op.create_table(
        "answers",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("answer_id", sa.String(length=64), nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("conversation_id", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("body", sa.JSON(), nullable=True),
        sa.Column("trace", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("redacted_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_answers_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_answers"),
        sa.UniqueConstraint("answer_id", name="uq_answers_answer_id"),
    )
    op.create_index("ix_answers_collection_pk", "answers", ["collection_pk"], unique=False)
    op.create_index("ix_answers_conversation_id", "answers", ["conversation_id"], unique=False)
    op.create_index("ix_answers_created_at", "answers", ["created_at"], unique=False)
    op.create_table(
        "certificates",
        sa.Column("certificate_id", sa.String(length=64), nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("answer_rate", sa.Float(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("seq", KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_certificates_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("certificate_id", name="pk_certificates"),
    )
    op.create_index("ix_certificates_collection_pk", "certificates", ["collection_pk"], unique=False)
    op.create_table(
        "documents",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("document_id", sa.String(length=400), nullable=False),
        sa.Column("parent_document_id", sa.String(length=400), nullable=True),
        sa.Column("live_version_pk", KEY, nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("media_type", sa.String(length=200), nullable=True),
        sa.Column("credibility", sa.Float(), nullable=False),
        sa.Column("credibility_source", sa.Float(), nullable=False),
        sa.Column("credibility_freshness", sa.Float(), nullable=True),
        sa.Column("credibility_corroboration", sa.Float(), nullable=True),
        sa.Column("credibility_feedback", sa.Float(), nullable=True),
        sa.Column("credibility_extraction", sa.Float(), nullable=True),
        sa.Column("feedback_correct", sa.Integer(), server_default="0", nullable=False),
        sa.Column("feedback_incorrect", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("tombstoned_at", sa.String(length=32), nullable=True),
        sa.Column("receipt_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_documents_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_documents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_documents_collection_pk", "documents", ["collection_pk"], unique=False)
    op.create_index("ix_documents_parent", "documents", ["collection_pk", "parent_document_id"], unique=False)
    op.create_index("ix_documents_receipt_id", "documents", ["receipt_id"], unique=False)
    op.create_index("ix_documents_status", "documents", ["collection_pk", "status"], unique=False)
    op.create_index(
        "ix_documents_tombstoned",
        "documents",
        ["collection_pk", "tombstoned_at"],
        unique=False,
        sqlite_where=sa.text("tombstoned_at IS NOT NULL"),
        postgresql_where=sa.text("tombstoned_at IS NOT NULL"),
    )
    op.create_index(
        "uq_documents_live_id",
        "documents",
        ["collection_pk", "document_id"],
        unique=True,
        sqlite_where=sa.text("tombstoned_at IS NULL"),
        postgresql_where=sa.text("tombstoned_at IS NULL"),
    )
    op.create_table(
        "evaluations",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("evaluation_id", sa.String(length=64), nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("question_set_sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_evaluations_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_evaluations"),
        sa.UniqueConstraint("evaluation_id", name="uq_evaluations_evaluation_id"),
    )
    op.create_index("ix_evaluations_collection_pk", "evaluations", ["collection_pk"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"], ["collections.pk"], name="fk_jobs_collection_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_jobs"),
        sa.UniqueConstraint("job_id", name="uq_jobs_job_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_collection_pk", "jobs", ["collection_pk"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state"], unique=False)
    op.create_table(
        "answer_documents",
        sa.Column("answer_pk", KEY, nullable=False),
        sa.Column("document_pk", KEY, nullable=False),
        sa.Column("cited", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answer_pk"], ["answers.pk"], name="fk_answer_documents_answer_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("answer_pk", "document_pk", name="pk_answer_documents"),
    )
    op.create_index("ix_answer_documents_document_pk", "answer_documents", ["document_pk"], unique=False)
    op.create_table(
        "document_access",
        sa.Column("document_pk", KEY, nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_pk"], ["documents.pk"], name="fk_document_access_document_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_pk", "tag", name="pk_document_access"),
    )
    op.create_table(
        "evaluation_rows",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("evaluation_pk", KEY, nullable=False),
        sa.Column("question_id", sa.String(length=400), nullable=False),
        sa.Column("replicate", sa.Integer(), nullable=False),
        sa.Column("phrasing", sa.Integer(), nullable=False),
        sa.Column("row", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_pk"], ["evaluations.pk"], name="fk_evaluation_rows_evaluation_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name="pk_evaluation_rows"),
        sa.UniqueConstraint(
            "evaluation_pk",
            "question_id",
            "replicate",
            "phrasing",
            name="uq_evaluation_rows_evaluation_pk_question_id_replicate_phrasing",
        ),
    )
    op.create_table(
        "feedback",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("answer_pk", KEY, nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["answer_pk"], ["answers.pk"], name="fk_feedback_answer_pk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name="pk_feedback"),
    )
    op.create_index("ix_feedback_answer_pk", "feedback", ["answer_pk"], unique=False)
    op.create_table(
        "job_documents",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("job_pk", KEY, nullable=False),
        sa.Column("document_pk", KEY, nullable=True),
        sa.Column("version_pk", KEY, nullable=True),
        sa.Column("document_id", sa.String(length=400), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("seq", KEY, nullable=True),
        sa.Column("payload", sa.JSON(), nullable=True),
        sa.Column("stage", sa.String(length=32), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["document_pk"], ["documents.pk"], name="fk_job_documents_document_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_pk"], ["jobs.pk"], name="fk_job_documents_job_pk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name="pk_job_documents"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_documents_document_pk", "job_documents", ["document_pk"], unique=False)
    op.create_index("ix_job_documents_job_pk", "job_documents", ["job_pk"], unique=False)
    op.create_index(
        "ix_job_documents_corpus",
        "job_documents",
        ["job_pk"],
        unique=False,
        sqlite_where=sa.text("kind = 'corpus'"),
        postgresql_where=sa.text("kind = 'corpus'"),
    )
    op.create_index("ix_job_documents_job_pk_state", "job_documents", ["job_pk", "state"], unique=False)
    op.create_table(
        "versions",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("document_pk", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", KEY, nullable=False),
        sa.Column("media_type", sa.String(length=200), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("has_blob", sa.Integer(), nullable=False),
        sa.Column("source_metadata", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("document_date", sa.String(length=10), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("page_spans", sa.JSON(), nullable=False),
        sa.Column("chars", sa.Integer(), nullable=True),
        sa.Column("quality", sa.Float(), nullable=True),
        sa.Column("parser", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("live_at", sa.String(length=32), nullable=True),
        sa.Column("retired_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["document_pk"], ["documents.pk"], name="fk_versions_document_pk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name="pk_versions"),
        sa.UniqueConstraint("document_pk", "version", name="uq_versions_document_pk_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_sha256", "versions", ["sha256"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("pk", KEY, autoincrement=True, nullable=False),
        sa.Column("version_pk", KEY, nullable=False),
        sa.Column("generation_pk", KEY, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("char_start", sa.Integer(), nullable=False),
        sa.Column("char_end", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("heading", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_pk"], ["generations.pk"], name="fk_chunks_generation_pk", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["version_pk"], ["versions.pk"], name="fk_chunks_version_pk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pk", name="pk_chunks"),
        sa.UniqueConstraint(
            "version_pk", "generation_pk", "ordinal", name="uq_chunks_version_pk_generation_pk_ordinal"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chunks_generation_pk", "chunks", ["generation_pk"], unique=False)
    op.create_table(
        "version_texts",
        sa.Column("version_pk", KEY, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_pk"], ["versions.pk"], name="fk_version_texts_version_pk", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_pk", name="pk_version_texts"),
    )
    op.create_table(
        "chunk_vectors",
        sa.Column("chunk_pk", KEY, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["chunk_pk"], ["chunks.pk"], name="fk_chunk_vectors_chunk_pk", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("chunk_pk", name="pk_chunk_vectors"),
    )
