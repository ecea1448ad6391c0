"""Tables of the eval layer, on the catalogue's MetaData."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from ingest.catalogue import Key, Time, metadata

question_sets = Table(
    "question_sets",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("key_id", String(64)),
    Column("questions", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("put_at", Time, nullable=False),
    UniqueConstraint("name", "sha256"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("evaluation_id", String(64), nullable=False, unique=True),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("key_id", String(64)),
    Column("question_set_sha256", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("question_set", String(100)),
    Column("job_id", String(64)),
    Column("access", JSON),
    Column("generation_pk", Key),
    Column("nightly", Integer, nullable=False, server_default="0"),
    Column("environment", JSON),
    Column("stale", JSON),
    Column("verdict", String(16)),
    Column("gate", JSON),
    Column("finished_at", Time),
)

evaluation_rows = Table(
    "evaluation_rows",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("evaluation_pk", Key, ForeignKey("evaluations.pk", ondelete="CASCADE"), nullable=False),
    Column("question_id", String(400), nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("phrasing", Integer, nullable=False),
    Column("row", JSON, nullable=False),
    UniqueConstraint("evaluation_pk", "question_id", "replicate", "phrasing"),
)

evaluation_row_documents = Table(
    "evaluation_row_documents",
    metadata,
    Column("row_pk", Key, ForeignKey("evaluation_rows.pk", ondelete="CASCADE"), primary_key=True),
    Column("document_pk", Key, primary_key=True),
)
Index("ix_evaluation_row_documents_document_pk", evaluation_row_documents.c.document_pk)

judge_scores = Table(
    "judge_scores",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("evaluation_pk", Key, ForeignKey("evaluations.pk", ondelete="CASCADE"), nullable=False),
    Column("question_id", String(400), nullable=False),
    Column("phrasing", Integer, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("metric", String(40), nullable=False),
    Column("value", Float),
    Column("failure", String(60)),
    Column("key", String(64), nullable=False, index=True),
    UniqueConstraint(
        "evaluation_pk", "question_id", "phrasing", "replicate", "metric", name="uq_judge_scores_ask_and_metric"
    ),
)

baselines = Table(
    "baselines",
    metadata,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("baseline_id", String(64), nullable=False, unique=True),
    Column("collection_pk", Key, ForeignKey("collections.pk", ondelete="CASCADE"), nullable=False, index=True),
    Column("question_set", String(100), nullable=False),
    Column("question_set_sha256", String(64), nullable=False),
    Column("evaluation_ids", JSON, nullable=False),
    Column("key_id", String(64)),
    Column("note", Text),
    Column("created_at", Time, nullable=False),
)
