"""Tables of the generate layer, on the catalogue's MetaData."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from ingest.catalogue import Key, Time, metadata

answers = Table(
    "answers",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("answer_id", String(64), nullable=False, unique=True),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", String(64)),
    Column("conversation_id", String(64), index=True),
    Column("status", String(16), nullable=False),
    Column("question", Text),
    Column("fingerprint", String(64), nullable=False),
    Column("body", JSON),
    Column("trace", JSON),
    Column("created_at", Time, nullable=False, index=True),
    Column("redacted_at", Time),
)

answer_documents = Table(
    "answer_documents",
    metadata,
    Column("answer_pk", Key, ForeignKey("answers.pk", ondelete="CASCADE"), primary_key=True),
    Column("document_pk", Key, primary_key=True),
    Column("cited", Integer, nullable=False),
)
Index("ix_answer_documents_document_pk", answer_documents.c.document_pk)

feedback = Table(
    "feedback",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("answer_pk", Key, ForeignKey("answers.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", String(64)),
    Column("verdict", String(16), nullable=False),
    Column("expected", Text),
    Column("comment", Text),
    Column("created_at", Time, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("certificate_id", String(64), primary_key=True),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("risk", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("threshold", Float),
    Column("answer_rate", Float),
    Column("n", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("seq", Key, nullable=False),
    Column("reason", Text),
    Column("created_at", Time, nullable=False),
)
