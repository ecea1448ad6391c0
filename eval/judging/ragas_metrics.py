"""The metrics of ragas 0.4.3, each asked for one answer at a time, with our judge in the place of its client.

ragas is imported on first use, with its telemetry off. Its own cache, batches and experiments are not used: the
cache's key leaves out the judge, a batch is lost with its first failure, and an experiment drops failed rows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import BaseModel

from eval.judging.judge import Judge

RAGAS_VERSION = "0.4.3"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is judged: an answer that was given, the passages it was made of, and a right answer where one is known."""

    question: str
    answer: str
    contexts: tuple[str, ...]
    reference: str | None


JUDGED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "faithfulness": ("Faithfulness", ("user_input", "response", "retrieved_contexts")),
    "response_groundedness": ("ResponseGroundedness", ("response", "retrieved_contexts")),
    "context_relevance": ("ContextRelevance", ("user_input", "retrieved_contexts")),
    "context_recall": ("ContextRecall", ("user_input", "retrieved_contexts", "reference")),
    "context_precision": ("ContextPrecision", ("user_input", "reference", "retrieved_contexts")),
    "answer_accuracy": ("AnswerAccuracy", ("user_input", "response", "reference")),
    "factual_correctness": ("FactualCorrectness", ("response", "reference")),
}
"""Judged metrics by our name: the class in `ragas.metrics.collections`, and what it wants."""


def is_installed() -> bool:
    """Whether the extra `citewell[ragas]` is there."""
    return find_spec("ragas") is not None


def applies(metric: str, judged: Judged) -> bool:
    """Whether the metric can be asked: ragas raises without passages, and some metrics need a right answer."""
    wants = JUDGED[metric][1]
    return not ("reference" in wants and judged.reference is None) and not (
        "retrieved_contexts" in wants and not judged.contexts
    )


async def judged_score(metric: str, judge: Judge, judged: Judged) -> float | None:
    """The metric in [0, 1]; None where ragas says NaN (no statement found, no valid rating).

    Raises what ragas does, and `ValueError` for a value that is not in [0, 1]: a judge may give a verdict of 7.
    """
    name, wants = JUDGED[metric]
    values: dict[str, Any] = {
        "user_input": judged.question,
        "response": judged.answer,
        "retrieved_contexts": list(judged.contexts),
        "reference": judged.reference,
    }
    asked = getattr(_collections(), name)(llm=_model_of(judge))
    result = await asked.ascore(**{want: values[want] for want in wants})
    value = _defined(result.value)
    if value is not None and not 0 <= value <= 1:
        raise ValueError(f"{metric} is {value}")
    return value


async def string_presence(answer: str, golds: Sequence[str]) -> float | None:
    """1 when a gold answer is a substring of the answer, letter by letter; None without gold."""
    return await _best(_collections().StringPresence(), answer, golds)


async def exact_match(answer: str, golds: Sequence[str]) -> float | None:
    """1 when the short answer is a gold answer, letter by letter; None without gold."""
    return await _best(_collections().ExactMatch(), answer, golds)


async def string_similarity(answer: str, golds: Sequence[str]) -> float | None:
    """1 - Levenshtein distance / longer length, in [0, 1], to the nearest gold answer; None without gold."""
    return await _best(_collections().NonLLMStringSimilarity(), answer, golds)


async def id_recall(retrieved: Sequence[str], relevant: Sequence[str]) -> float | None:
    """Share of the relevant documents that are among the retrieved; None without any (ragas: NaN)."""
    return await _by_id("IDBasedContextRecall", retrieved, relevant)


async def id_precision(retrieved: Sequence[str], relevant: Sequence[str]) -> float | None:
    """Share of the retrieved documents that are relevant, each counted once; None where nothing was retrieved."""
    return await _by_id("IDBasedContextPrecision", retrieved, relevant)


async def quoted_spans(quotes: Sequence[str], contexts: Sequence[str]) -> float:
    """Share of the quotes of three words and more that stand in any passage; 1 without any."""
    answer = " ".join(f'"{quote}"' for quote in quotes)
    result = await _collections().QuotedSpansAlignment().ascore(response=answer, retrieved_contexts=list(contexts))
    return float(result.value)


@cache
def _collections() -> Any:
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    from ragas.metrics import collections

    return collections


@cache
def _model_class() -> Callable[[Judge], Any]:
    _collections()
    from ragas.llms.base import InstructorBaseRagasLLM

    class JudgeModel(InstructorBaseRagasLLM):  # type: ignore[misc] # ragas is seen without its types
        """A judge in the shape that ragas calls: a prompt and a pydantic model in, a value of it out."""

        def __init__(self, judge: Judge) -> None:
            self._judge = judge

        def generate(self, prompt: str, response_model: type[BaseModel]) -> BaseModel:
            raise NotImplementedError("scores are asked for on an event loop")

        async def agenerate(self, prompt: str, response_model: type[BaseModel]) -> BaseModel:
            reply = await self._judge.complete(prompt, response_model.model_json_schema())
            return response_model.model_validate_json(reply)

    return JudgeModel


def _model_of(judge: Judge) -> Any:
    return _model_class()(judge)


async def _best(metric: Any, answer: str, golds: Sequence[str]) -> float | None:
    values = [(await metric.ascore(reference=gold, response=answer)).value for gold in golds]
    return max(map(float, values)) if values else None


async def _by_id(name: str, retrieved: Sequence[str], relevant: Sequence[str]) -> float | None:
    _collections()
    from ragas.dataset_schema import SingleTurnSample

    if not relevant or not retrieved:
        return None if not relevant or name.endswith("Precision") else 0.0
    module = import_module("ragas.metrics._context_recall" if "Recall" in name else "ragas.metrics._context_precision")
    sample = SingleTurnSample(retrieved_context_ids=list(retrieved), reference_context_ids=list(relevant))
    asking: Awaitable[float] = getattr(module, name)()._single_turn_ascore(sample, None)
    return _defined(await asking)


def _defined(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number
