"""What would be answered if nothing were refused for lack of confidence: on the answer path, at threshold 0.

Calibration needs it, because it has to know about the answers that the present threshold hides.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from eval.learn_then_test import Labelled
from eval.measures import is_correct_answer
from eval.question_sets import EvaluationQuestion
from eval.runs import Setting
from generate.answer import Question
from generate.answerer import Answerer
from generate.composition import Outcome
from generate.pipeline import ComputationEvent, Task
from generate.policy import Decision

_REFUSED_ANYWAY = -1.0


async def probe(question: EvaluationQuestion, *, answerer: Answerer, setting: Setting) -> Outcome:
    """The outcome at threshold 0; a refusal is left only where there is no evidence, or nothing that stands."""
    asked = Question(question.question, top_k=setting.top_k, filter=question.filter, cache=False)
    task = Task(asked, question.question, setting.collection, setting.generation, setting.access)
    pipeline = answerer.pipeline
    events = pipeline.compute_from(task, await pipeline.search(task), Decision(0.0, None))
    async with aclosing(cast(AsyncGenerator[ComputationEvent, None], events)) as stream:
        async for event in stream:
            if isinstance(event, Outcome):
                return event
    raise AssertionError("a computation ends with its outcome")


def label(question: EvaluationQuestion, outcome: Outcome) -> Labelled | None:
    """Confidence and whether the answer would be wrong, by the gold of the set; None where there is no gold answer."""
    if question.answerable and not question.answers:
        return None
    if outcome.reason is not None:
        return Labelled(_REFUSED_ANYWAY, False, question.cluster_id)
    text = " ".join(sentence.text for sentence in outcome.sentences)
    right = question.answerable and is_correct_answer(text, question.answers)
    return Labelled(outcome.assessment.confidence, not right, question.cluster_id)
