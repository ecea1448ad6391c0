"""Tables of the eval layer, on the catalogue's MetaData."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Table, UniqueConstraint

from ingest.catalogue import Key, Time, metadata

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
