"""Logistic regression as it is served: weights and an intercept, fitted elsewhere and shipped as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """Weights in the order of the features, and an intercept."""

    weights: tuple[float, ...]
    intercept: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> LogisticModel:
        """From its JSON form `{"weights": [...], "intercept": x}`; other keys are ignored."""
        return cls(tuple(float(weight) for weight in body["weights"]), float(body["intercept"]))

    def probability(self, features: Sequence[float]) -> float:
        """1 / (1 + exp(-(weights x features + intercept)))"""
        z = sum(w * f for w, f in zip(self.weights, features, strict=True)) + self.intercept
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, z))))


def saturated(count: int) -> float:
    """A count as a feature: 0, 1/2, 3/4, 7/8, …: the first one tells most."""
    return 1 - 0.5**count
