"""Settings of the eval layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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
