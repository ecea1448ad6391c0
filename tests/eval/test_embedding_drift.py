"""Drift of answers in the space of the embedder, with a fake embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eval.embedding_drift import canary_of, embedding_drift
from eval.rows import EvaluationRow
from ingest.generations import Generation
from tests.eval.made_rows import REFUSED, row
from tests.fakes import HashingEncoder

GENERATION = cast(Generation, None)


def embed(texts: Sequence[str], generation: Generation) -> NDArray[np.float32]:
    return np.asarray(HashingEncoder().encode(list(texts), kind="document", fast=False), dtype=np.float32)


def answers(word: str) -> list[EvaluationRow]:
    return [row(f"q{n}", answer=f"The {word} number {n} is open.") for n in range(30)]


def drift(
    before: list[EvaluationRow], after: list[EvaluationRow], environment: dict[str, Any] | None = None
) -> dict[str, Any]:
    kept = {"canary": canary_of(embed, GENERATION)}
    return embedding_drift(embed, GENERATION, (before, kept), (after, kept if environment is None else environment))


def test_the_same_answers_have_not_drifted() -> None:
    """A discrepancy of nothing, a classifier that guesses, the canary as it was."""
    found = drift(answers("pier"), answers("pier"))
    assert (found["before"], found["after"]) == (30, 30)
    assert found["p"] > 0.5
    assert found["domain_auc"] < 0.6
    assert found["canary"] > 0.9999


def test_answers_about_something_else_have() -> None:
    """Both tell; refusals are no answers."""
    found = drift([*answers("pier"), row("r", **REFUSED)], answers("zebra in the southern garden"))
    assert found["before"] == 30
    assert found["p"] < 0.01
    assert found["domain_auc"] > 0.9


def test_too_little_to_compare_is_unscored() -> None:
    """No answers on a side, and a run that kept no canary."""
    found = drift(answers("pier"), [row("r", **REFUSED)], {})
    assert (found["after"], found["mmd2"], found["domain_auc"], found["canary"]) == (0, None, None, None)
    assert drift([], [])["p"] is None
