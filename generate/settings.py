"""Settings of the generate layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

SECRETS = frozenset({"generator_api_key"})
"""Settings that no trace may hold."""

EMBEDDED_READER: Literal["reader"] = "reader"
"""The generator on the packaged reading model."""

LANGUAGE_MODELS = frozenset({"vllm", "openai"})
"""The generators that ask a language model server."""


class GenerateSettings(BaseModel):
    """Which generator answers, and when it refuses."""

    model_config = ConfigDict(frozen=True)

    generator: Literal["reader", "extractive", "vllm", "openai"] = Field(
        EMBEDDED_READER,
        description="`reader` quotes the sentences in which the embedded reading model finds the answer, `extractive` "
        "those that match the question best; neither needs a language model. `vllm` asks a vLLM server, `openai` any "
        "other OpenAI-compatible one (see docs/vllm.md).",
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
    vllm_url: str = Field("http://127.0.0.1:8001/v1", description="Where vLLM serves, for the generator `vllm`.")
    openai_url: str | None = Field(
        None, description="Base URL of the OpenAI-compatible server, for the generator `openai`."
    )
    generator_model: str | None = Field(
        None, description="Model of the language model server; without it the first one that it lists, asked at start."
    )
    generator_api_key: SecretStr | None = Field(None, description="Key for the language model server.")
    generator_max_tokens: int = Field(
        512, ge=16, le=32_768, description="Longest answer of the language model.", json_schema_extra={"unit": "tokens"}
    )
    generator_context_tokens: int | None = Field(
        None,
        ge=256,
        description="Longest prompt and answer together; without it what the server tells, or 8192.",
        json_schema_extra={"unit": "tokens"},
    )
    generator_temperature: float = Field(
        0.0, ge=0, le=2, description="Sampling temperature of the language model; 0 always takes the likeliest word."
    )
    generator_seed: int | None = Field(0, ge=0, description="Seed that the language model server is asked to use.")
    generator_guided: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Bind the language model to a grammar in which only passages that were given can be cited; `auto`: "
        "with vLLM.",
    )
    generator_quotes_only: bool = Field(
        False, description="Let the language model answer with verbatim sentences of the passages only."
    )
    generator_rewrites: bool = Field(
        True, description="Let the language model rewrite follow-up questions; otherwise a rule does."
    )
    generator_decomposes: bool = Field(
        False,
        description="Let the language model take a question apart that asks for several things, and search for up to "
        "three parts beside it; one more call before each search.",
    )
    generator_extra: dict[str, Any] = Field(
        {},
        description="JSON object of further parameters for each request, for example "
        '`{"chat_template_kwargs": {"enable_thinking": false}}`.',
    )
    generator_connect_timeout_s: float = Field(
        5, gt=0, description="Longest wait for a connection to the language model.", json_schema_extra={"unit": "s"}
    )
    generator_first_token_timeout_s: float = Field(
        60, gt=0, description="Longest wait for the first token of an answer.", json_schema_extra={"unit": "s"}
    )
    generator_token_timeout_s: float = Field(
        20, gt=0, description="Longest wait between two tokens.", json_schema_extra={"unit": "s"}
    )
    generator_timeout_s: float = Field(
        180, gt=0, description="Longest time for a whole answer, retries included.", json_schema_extra={"unit": "s"}
    )
    generator_retries: int = Field(
        2, ge=0, le=10, description="Further attempts while no token of the answer has come."
    )
    generator_breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which the language model server is left alone for a while."
    )
    generator_breaker_open_s: float = Field(
        10, gt=0, description="How long it is left alone.", json_schema_extra={"unit": "s"}
    )
