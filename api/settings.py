"""All settings: those of the layers below and the server's own, read once from `CITEWELL_…` environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from generate.settings import GenerateSettings
from ingest.settings import IngestSettings
from retrieve.settings import RetrieveSettings

SHIPPED_DATA = Path(__file__).resolve().parent.parent / "data"


class Settings(BaseSettings, IngestSettings, RetrieveSettings, GenerateSettings):
    """One frozen value that is every layer's settings at once; `docs/settings.md` is generated from it."""

    model_config = SettingsConfigDict(env_prefix="CITEWELL_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to serve on; beyond loopback, keys are required.")
    port: int = Field(8000, ge=0, le=65535, description="Port to serve on; 0 takes a free one.")
    request_body_max_bytes: int = Field(
        1 << 30, ge=1 << 10, description="Largest request body.", json_schema_extra={"unit": "bytes"}
    )
    question_chars_max: int = Field(
        4_000, ge=1, description="Longest question or query.", json_schema_extra={"unit": "characters"}
    )
    concurrent_requests_max: int = Field(
        64, ge=1, description="Searches and questions under way at once; beyond, requests get 429."
    )
