"""Settings of the generate layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SECRETS = frozenset({"generator_api_key"})
"""Settings that no trace may hold."""


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
    answer_cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Give the answer of a moment ago to an identical question while its evidence is unchanged; `auto`: "
        "only without a language model.",
    )
    answer_cache_entries: int = Field(1_000, ge=1, description="Answers that the cache holds.")
    answer_cache_ttl_s: float = Field(
        300, gt=0, description="Longest time an answer is given again.", json_schema_extra={"unit": "s"}
    )
    answers_retention_days: float = Field(
        365,
        gt=0,
        description="Stored answers and their traces are deleted after this time.",
        json_schema_extra={"unit": "days"},
    )
    redact_patterns: tuple[str, ...] = Field(
        (), description="JSON list of regular expressions; what they match is masked before an answer is stored."
    )
    conversation_ttl_s: float = Field(
        86_400,
        gt=0,
        description="A conversation ends after this time without a question.",
        json_schema_extra={"unit": "s"},
    )
    conversation_turns: int = Field(5, ge=1, le=100, description="Earlier questions that a follow-up may refer to.")
    conversation_chars: int = Field(
        2_000,
        ge=1,
        description="Longest history that a follow-up may refer to.",
        json_schema_extra={"unit": "characters"},
    )
