"""Settings of the eval layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

JudgedMetric = Literal[
    "faithfulness",
    "response_groundedness",
    "context_relevance",
    "context_recall",
    "context_precision",
    "answer_accuracy",
    "factual_correctness",
]


class EvalSettings(BaseModel):
    """How runs ask, and when the gate blocks.

    The defaults of the gate are those of its design; their error rates were simulated only.
    """

    model_config = ConfigDict(frozen=True)

    evaluation_concurrency: int = Field(
        2, ge=1, le=64, description="Questions that a run asks at a time; interactive questions go before them."
    )
    evaluation_repeats: int = Field(
        3,
        ge=1,
        le=100,
        description="How often each phrasing is asked where nothing else is said; 1 says nothing of stability.",
    )
    gate_level: float = Field(0.01, gt=0, lt=0.5, description="Level of the gate over all its metrics together (Holm).")
    gate_confirmation_level: float = Field(
        0.05, gt=0, lt=0.5, description="Level at which fresh asks must confirm a metric that the gate flagged."
    )
    gate_margin: float = Field(
        0.01, ge=0, le=1, description="Least change of a metric that blocks; smaller ones are only reported."
    )
    gate_error_rate_max: float = Field(
        0.01, ge=0, le=1, description="Share of failed asks above which a run is blocked."
    )
    gate_stale_max: float = Field(
        0.1, ge=0, le=1, description="Share of stale questions above which a run has no verdict."
    )
    ragas: Literal["auto", "off"] = Field(
        "auto", description="Add the metrics of ragas to each run, if `citewell[ragas]` is installed (some 200 MB)."
    )
    judge_url: str | None = Field(
        None,
        description="Base URL of an OpenAI-compatible server whose model judges answers by ragas; without it only the "
        "metrics that need no model.",
    )
    judge_model: str | None = Field(None, description="Model that judges; without it the first one that it lists.")
    judge_api_key: SecretStr | None = Field(None, description="Key for the server of the judge.")
    judge_metrics: tuple[JudgedMetric, ...] = Field(
        ("faithfulness", "context_recall", "answer_accuracy"),
        description="Metrics that are judged, as a JSON list; about two requests each for an answer.",
    )
    judge_sample: int = Field(50, ge=1, description="Answers of a run that are judged, the same ones every night.")
    judge_concurrency: int = Field(4, ge=1, le=64, description="Answers that are judged at a time.")
    judge_max_tokens: int = Field(
        2048,
        ge=16,
        description="Longest reply of the judge; one that is cut off is no score.",
        json_schema_extra={"unit": "tokens"},
    )
    judge_timeout_s: float = Field(
        120, gt=0, description="Longest wait for one reply of the judge.", json_schema_extra={"unit": "s"}
    )
