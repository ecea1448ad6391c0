"""All settings: those of the layers below and the server's own, read once from `CITEWELL_…` environment variables."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from eval.settings import EvalSettings
from generate.settings import GenerateSettings
from ingest.settings import IngestSettings
from retrieve.settings import RetrieveSettings

SHIPPED_DATA = Path(__file__).resolve().parent.parent / "data"


class Settings(BaseSettings, IngestSettings, RetrieveSettings, GenerateSettings, EvalSettings):
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
    stream_heartbeat_s: float = Field(
        15,
        gt=0,
        description="A stream without events sends a comment after this time.",
        json_schema_extra={"unit": "s"},
    )
    concurrent_requests_max: int = Field(
        64, ge=1, description="Searches and questions under way at once; beyond, requests get 429."
    )
    concurrent_uploads_max: int = Field(
        16, ge=1, description="Uploads being received at once; beyond, requests get 429. Each holds a thread."
    )


def settings_markdown() -> str:
    """The page `docs/settings.md`: one table a layer, in the order in which the fields stand in the code."""
    parts = ["# Settings\n\nEach is an environment variable. Made by `python -m api.settings > docs/settings.md`.\n"]
    seen: set[str] = set()
    for title, layer in (
        ("Ingest", IngestSettings),
        ("Retrieve", RetrieveSettings),
        ("Generate", GenerateSettings),
        ("Evaluate", EvalSettings),
        ("Server", Settings),
    ):
        parts.append(f"\n## {title}\n\n| variable | default | unit | meaning |\n|---|---|---|---|\n")
        for name, field in layer.model_fields.items():
            if name not in seen:
                seen.add(name)
                extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
                value = field.get_default(call_default_factory=True)
                default = "none" if value in (None, "") else f"`{value}`"
                parts.append(
                    f"| `CITEWELL_{name.upper()}` | {default} | {extra.get('unit', '')} | {field.description} |\n"
                )
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(settings_markdown())
