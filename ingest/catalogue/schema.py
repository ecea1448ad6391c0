"""Tables of the ingest layer, and the MetaData on which every other layer declares its own.

The catalogue is the source of truth; indexes are derived from it. SQL stays portable between SQLite and PostgreSQL.
Times are ISO 8601 UTC strings with microseconds, which sort as text. `pk` columns are internal integers; what clients
see (`document_id`, `job_id`, …) are strings. No `pk` is ever given twice (`sqlite_autoincrement`): indexes, traces and
answers in other hands may still name one whose row was purged.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")
Time = String(32)

collections = Table(
    "collections",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("language", String(16)),
    Column("source_priors", JSON, nullable=False),
    Column("templates", JSON, nullable=False),
    Column("live_generation_pk", Key, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("tombstoned_at", Time),
    Column("revision", Key, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)
"""`revision` grows with every change of what filters and access tags read of the documents: triggers see to it."""

generations = Table(
    "generations",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("generation", String(64), nullable=False),
    Column("collection", String(100), nullable=False),
    Column("embedder", Text, nullable=False),
    Column("embedder_revision", Text, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("chunk_tokens", Integer, nullable=False),
    Column("overlap_tokens", Integer, nullable=False),
    Column("analyser", Text, nullable=False),
    Column("index_kind", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Time, nullable=False),
    UniqueConstraint("collection", "generation"),
    sqlite_autoincrement=True,
)

documents = Table(
    "documents",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False),
    Column("document_id", String(400), nullable=False),
    Column("parent_document_id", String(400)),
    Column("live_version_pk", Key),
    Column("status", String(16), nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("metadata", JSON, nullable=False),
    Column("title", Text),
    Column("language", String(16)),
    Column("media_type", String(200)),
    Column("credibility", Float, nullable=False),
    Column("credibility_source", Float, nullable=False),
    Column("credibility_freshness", Float),
    Column("credibility_corroboration", Float),
    Column("credibility_feedback", Float),
    Column("credibility_extraction", Float),
    Column("credibility_due", Integer, nullable=False, server_default="0"),
    Column("duplicate_of_pk", Key),
    Column("feedback_correct", Integer, nullable=False, server_default="0"),
    Column("feedback_incorrect", Integer, nullable=False, server_default="0"),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("tombstoned_at", Time),
    Column("receipt_id", String(64)),
    Column("origin", String(400)),
    sqlite_autoincrement=True,
)
Index(
    "uq_documents_live_id",
    documents.c.collection_pk,
    documents.c.document_id,
    unique=True,
    sqlite_where=text("tombstoned_at IS NULL"),
    postgresql_where=text("tombstoned_at IS NULL"),
)
Index(
    "ix_documents_tombstoned",
    documents.c.collection_pk,
    documents.c.tombstoned_at,
    sqlite_where=text("tombstoned_at IS NOT NULL"),
    postgresql_where=text("tombstoned_at IS NOT NULL"),
)

Index("ix_documents_receipt_id", documents.c.receipt_id)
Index("ix_documents_parent", documents.c.collection_pk, documents.c.parent_document_id)
Index("ix_documents_collection_pk", documents.c.collection_pk)
Index("ix_documents_origin", documents.c.collection_pk, documents.c.origin)
Index("ix_documents_status", documents.c.collection_pk, documents.c.status)

Index(
    "ix_documents_duplicates",
    documents.c.duplicate_of_pk,
    sqlite_where=text("duplicate_of_pk IS NOT NULL"),
    postgresql_where=text("duplicate_of_pk IS NOT NULL"),
)

Index(
    "ix_documents_credibility_due",
    documents.c.credibility_due,
    sqlite_where=text("credibility_due > 0"),
    postgresql_where=text("credibility_due > 0"),
)

corroborations = Table(
    "corroborations",
    metadata,
    Column("document_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), primary_key=True),
    Column("supporter_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), primary_key=True, index=True),
)

document_access = Table(
    "document_access",
    metadata,
    Column("document_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(100), primary_key=True),
)

versions = Table(
    "versions",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("document_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("bytes", Key, nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("filename", Text, nullable=False),
    Column("has_blob", Integer, nullable=False),
    Column("source_metadata", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("title", Text),
    Column("language", String(16)),
    Column("document_date", String(10)),
    Column("pages", Integer),
    Column("page_spans", JSON, nullable=False),
    Column("headings", JSON),
    Column("chars", Integer),
    Column("quality", Float),
    Column("parser", String(64)),
    Column("created_at", Time, nullable=False),
    Column("live_at", Time),
    Column("retired_at", Time, index=True),
    UniqueConstraint("document_pk", "version"),
    sqlite_autoincrement=True,
)

version_texts = Table(
    "version_texts",
    metadata,
    Column("version_pk", Key, ForeignKey("versions.pk", ondelete="CASCADE"), primary_key=True),
    Column("text", Text, nullable=False),
)

signatures = Table(
    "signatures",
    metadata,
    Column("version_pk", Key, ForeignKey("versions.pk", ondelete="CASCADE"), primary_key=True),
    Column("document_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("minima", LargeBinary, nullable=False),
)

signature_bands = Table(
    "signature_bands",
    metadata,
    Column("collection_pk", Key, primary_key=True),
    Column("band", BigInteger, primary_key=True),
    Column("version_pk", Key, ForeignKey("signatures.version_pk", ondelete="CASCADE"), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

chunks = Table(
    "chunks",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("version_pk", Key, ForeignKey("versions.pk", ondelete="CASCADE"), nullable=False),
    Column("generation_pk", Key, ForeignKey("generations.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("char_start", Integer, nullable=False),
    Column("char_end", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("page", Integer),
    Column("heading", Text),
    Column("text", Text, nullable=False),
    UniqueConstraint("version_pk", "generation_pk", "ordinal"),
    sqlite_autoincrement=True,
)

chunk_vectors = Table(
    "chunk_vectors",
    metadata,
    Column("chunk_pk", Key, ForeignKey("chunks.pk", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)

index_change = Table(
    "index_change",
    metadata,
    Column("seq", Key, primary_key=True, autoincrement=True),
    Column("collection_pk", Key, nullable=False),
    Column("add_version_pk", Key),
    Column("retire_version_pk", Key),
    Column("generation_pk", Key),
    Column("created_at", Time, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_index_change_collection_pk_seq", index_change.c.collection_pk, index_change.c.seq)

jobs = Table(
    "jobs",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("job_id", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", String(64)),
    Column("state", String(16), nullable=False, index=True),
    Column("stage", String(32)),
    Column("stages", JSON),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("payload", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_requested", Integer, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_expires_at", Time),
    Column("created_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    sqlite_autoincrement=True,
)

job_documents = Table(
    "job_documents",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("job_pk", Key, ForeignKey("jobs.pk", ondelete="CASCADE"), nullable=False),
    Column("document_pk", Key, ForeignKey("documents.pk", ondelete="CASCADE"), index=True),
    Column("version_pk", Key),
    Column("document_id", String(400), nullable=False),
    Column("filename", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("seq", Key),
    Column("payload", JSON),
    Column("stage", String(32)),
    Column("state", String(16), nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    sqlite_autoincrement=True,
)
Index("ix_job_documents_job_pk", job_documents.c.job_pk)
Index("ix_job_documents_job_pk_state", job_documents.c.job_pk, job_documents.c.state)
IS_CORPUS = text("kind = 'corpus'")
"""Spelled out, not bound: only so does SQLite see that the index below holds the few corpora among many documents."""
Index("ix_job_documents_corpus", job_documents.c.job_pk, sqlite_where=IS_CORPUS, postgresql_where=IS_CORPUS)

receipts = Table(
    "receipts",
    metadata,
    Column("receipt_id", String(64), primary_key=True),
    Column("collection", String(100), nullable=False),
    Column("state", String(16), nullable=False),
    Column("documents", Integer, nullable=False),
    Column("removed", JSON, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("purged_at", Time),
)
