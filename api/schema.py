"""Tables of the api layer, on the catalogue's MetaData."""

from __future__ import annotations

from sqlalchemy import JSON, Column, String, Table

from ingest.catalogue import Time, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("collections", JSON),
    Column("tags", JSON),
    Column("created_at", Time, nullable=False),
    Column("revoked_at", Time),
)
