"""What the gate is measured on: questions of the report part of SQuAD 2.0, over the passages of the whole set.

Some passages have a counterfeit beside them, with another figure in the place of the answer and a source that is hardly
to be believed: only credibility decides between the two.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.passage_index import Passage
from eval.public_sets import Part, SetQuestion, load_part
from eval.question_sets import EvaluationQuestion

COUNTERFEITS = "counterfeit/"
PRIORS = {"squad2-*": 0.8, f"{COUNTERFEITS}*": 0.2}
"""Credibility of the sources."""

_PARTS: tuple[Part, ...] = ("train", "choose", "calibrate", "report")
_COUNTERFEITS_MAX = 30
_SEED = 1


@dataclass(frozen=True, slots=True)
class GateQuestions:
    """The questions, all passages, and the counterfeits among them."""

    questions: tuple[EvaluationQuestion, ...]
    passages: tuple[Passage, ...]


def gate_questions(data: Path, count: int) -> GateQuestions:
    """`count` questions, half of them unanswerable, drawn with a fixed seed."""
    folder = data / "squad2_dev_a"
    passages = [passage for part in _PARTS for passage in load_part(folder, part).passages]
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    report = load_part(folder, "report").questions
    halves = [[question for question in report if question.answerable is can] for can in (True, False)]
    asked = [question for half in halves for question in draw.sample(half, count // 2)]
    fakes = _counterfeits(asked, {passage.document_id: passage for passage in passages})
    return GateQuestions(tuple(map(evaluation_question, asked)), (*passages, *fakes))


def evaluation_question(question: SetQuestion) -> EvaluationQuestion:
    """The question with the places of its answers as gold evidence; its cluster is its passage."""
    home = question.gold[0] if question.gold else question.source
    places = [
        {"document_id": question.gold[0], "char_start": start, "char_end": start + len(answer)}
        for answer, start in zip(question.answers, question.starts, strict=True)
        if start >= 0
    ]
    return EvaluationQuestion.model_validate(
        {
            "id": question.id,
            "question": question.question,
            "answers": question.answers,
            "answerable": question.answerable,
            "gold_evidence": [places] if places else [],
            "gold_doc_ids": [] if places else question.gold,
            "lang": "en",
            "cluster": home,
        }
    )


def swapped_facts(part: GateQuestions) -> list[Passage]:
    """Every passage that answers a question, with the answer of another question in the place of its own."""
    answerable = [question for question in part.questions if question.answerable]
    passages = {passage.document_id: passage for passage in part.passages}
    changed: dict[str, Passage] = {}
    for question, other in zip(answerable, answerable[1:] + answerable[:1], strict=True):
        passage = changed.get(question.cluster_id, passages[question.cluster_id])
        text = passage.text
        for answer in sorted(set(question.answers), key=len, reverse=True):
            text = text.replace(answer, other.answers[0])
        changed[question.cluster_id] = Passage(passage.document_id, passage.title, text)
    return list(changed.values())


def write_corpus(path: Path, passages: Iterable[Passage]) -> None:
    """The passages as a corpus that can be uploaded."""
    lines = (json.dumps({"id": p.document_id, "title": p.title, "text": p.text}) for p in passages)
    path.write_text("\n".join(lines), encoding="utf-8")


def _counterfeits(asked: Iterable[SetQuestion], passages: Mapping[str, Passage]) -> list[Passage]:
    """Copies of passages whose answer is a figure, with another figure."""
    fakes: dict[str, Passage] = {}
    for question in asked:
        figure = re.search(r"\d", question.answers[0]) if question.answerable else None
        if figure is None or question.gold[0] in fakes or len(fakes) == _COUNTERFEITS_MAX:
            continue
        passage = passages[question.gold[0]]
        other = re.sub(r"\d", lambda digit: str((int(digit.group()) + 3) % 10), question.answers[0])
        text = passage.text.replace(question.answers[0], other)
        fakes[question.gold[0]] = Passage(f"{COUNTERFEITS}{passage.document_id}", passage.title, text)
    return list(fakes.values())
