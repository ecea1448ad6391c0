"""The planted regressions: which system shows each, and what the gate ought to blame for it. Declared beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from eval.bench.gate_play import ERRORS, Night
from eval.bench.observed import System


@dataclass(frozen=True, slots=True)
class Plant:
    """A regression. `system` names whose observations hold for the questions it hits, `share` how many it hits at
    most, `errors` the chance that an ask fails; `effect_on` is the metric in whose points its size is told.
    """

    name: str
    system: str
    metrics: frozenset[str]
    stages: frozenset[str]
    share: float = 1.0
    errors: float = 0.0
    effect_on: str = "task_success"


def plants() -> list[Plant]:
    """All of them. Where a fault of retrieval loses no gold evidence, only task success can show it."""
    found = frozenset({"retrieval_coverage"})
    either = frozenset({"retrieval_coverage", "task_success"})
    success = frozenset({"task_success"})
    retrieval = frozenset({"retrieval"})
    words = frozenset({"retrieval", "generation"})
    return [
        Plant("5 % of chunks dropped", "5 % of chunks dropped", found, retrieval),
        Plant("gold chunks dropped", "gold chunks dropped", found, retrieval),
        Plant("top_k 2", "top_k 2", found, retrieval),
        Plant("stale index", "stale index", found, retrieval),
        Plant("other embedder", "other embedder", either, retrieval),
        Plant("shuffled reranker", "shuffled reranker", either, retrieval),
        Plant("citations off by one", "citations off by one", frozenset({"evidence_rate"}), frozenset({"checks"})),
        Plant(
            "answer always",
            "answer always",
            frozenset({"false_answer_rate"}),
            frozenset({"policy"}),
            effect_on="false_answer_rate",
        ),
        Plant("refuse always", "refuse always", success, frozenset({"policy"})),
        Plant("tiny chunks", "tiny chunks", either, retrieval),
        Plant("3 % of facts swapped", "facts swapped", success, frozenset({"corpus"}), share=0.03),
        Plant("all facts swapped", "facts swapped", success, frozenset({"corpus"})),
        Plant("credibility inverted", "credibility inverted", success, retrieval),
        Plant("numbers not indexed", "numbers not indexed", either, words),
        Plant("analyser off", "analyser off", either, words),
        Plant(
            "30 % of asks fail", "asks failing", frozenset({"error_rate"}), frozenset({"environment"}), errors=ERRORS
        ),
    ]


def planted(plant: Plant, system: System, chosen: frozenset[str]) -> Night:
    """A night on which the plant holds for the chosen questions."""
    return Night(system.observed, chosen, plant.errors)
