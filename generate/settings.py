"""Settings of the generate layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class GenerateSettings(BaseModel):
    """Which generator answers, and when it refuses."""

    model_config = ConfigDict(frozen=True)

    generator: Literal["extractive"] = Field(
        "extractive",
        description="`extractive` quotes the best supported sentences of the documents; it needs no language model.",
    )
    answer_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least confidence at which a question is answered; below it the answer is a refusal.",
    )
    ask_top_k: int = Field(8, ge=1, le=100, description="Passages that the generator reads.")
