"""What would be answered to the questions that the calibration is measured on, a third of their passages being gone."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from api.bench.variants import Models, Variant, build, chunks_of, drop_chunks, running
from api.bootstrap import DEFAULT_COLLECTION, Service
from eval.bench.gate_questions import COUNTERFEITS, GateQuestions, evaluation_question
from eval.bench.kept import KeptResults
from eval.fit_reading import removed_passages
from eval.learn_then_test import Labelled
from eval.probing import label, probe
from eval.public_sets import SetQuestion, load_part
from eval.question_sets import EvaluationQuestion
from eval.runs import Setting
from retrieve import Access

_PROGRESS = Console(stderr=True)
_SEED = 3


def labels(data: Path, part: GateQuestions, work: Path, models: Models, *, per_passage: int) -> list[Labelled]:
    """Of the calibrate and report parts of SQuAD 2.0, at most so many questions (0: all) a passage, over the whole set.

    An answer is right if it holds a gold answer, also where another passage says it than the one that is gone.
    `part` and `work` are those of the gate's bench, whose data directory is taken (and built, where it is not there).
    """
    parts = [load_part(data / "squad2_dev_a", name) for name in ("calibrate", "report")]
    gone = frozenset[str]().union(*(removed_passages(one, _SEED) for one in parts))
    asked = [question for one in parts for question in _some_a_passage(one.questions, per_passage)]
    if not (work / "data").exists():
        build(work / "data", part, models)
    fakes = [p.document_id for p in part.passages if p.document_id.startswith(COUNTERFEITS)]
    missing = [*sorted(gone), *fakes]
    variant = Variant(edit=lambda folder, _: drop_chunks(folder, chunks_of(folder, missing)))
    with running(work / "data", variant, part, models) as service:
        kept = KeptResults(work / "labels.jsonl")
        found = [
            kept.get([question.id], partial(_labelled, service, evaluation_question(question)))
            for question in track(asked, "labels", console=_PROGRESS)
        ]
    return [Labelled(**one) for one in found if one is not None]


def _labelled(service: Service, question: EvaluationQuestion) -> dict[str, Any] | None:
    collection, top_k = service.collections.get(DEFAULT_COLLECTION), service.settings.ask_top_k
    setting = Setting(collection, collection.live_generation, Access.everything(), None, top_k, 0.0, "labels")
    outcome = asyncio.run(probe(question, answerer=service.answerer, setting=setting))
    found = label(question, outcome)
    return None if found is None else asdict(found)


def _some_a_passage(questions: Sequence[SetQuestion], count: int) -> list[SetQuestion]:
    """At most `count` (0: all) of each passage."""
    homes: dict[str | None, list[SetQuestion]] = defaultdict(list)
    for question in questions:
        homes[question.gold[0] if question.gold else question.source].append(question)
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    return [question for own in homes.values() for question in draw.sample(own, min(count or len(own), len(own)))]
