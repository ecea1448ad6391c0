"""Question sets: what is asked of a collection, and what would be right. Validated whole, with every error at once."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.errors import FieldProblem, InvalidInput


class GoldEvidence(BaseModel):
    """One acceptable piece of evidence: a quote, a span `[char_start, char_end)`, or the whole document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document_id: str = Field(min_length=1)
    quote: str | None = None
    char_start: int | None = Field(default=None, ge=0)
    char_end: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _whole_span(self) -> GoldEvidence:
        if (self.char_start is None) != (self.char_end is None):
            raise ValueError("char_start and char_end come together")
        return self


class EvaluationQuestion(BaseModel):
    """A question with its gold. `gold_evidence` is a list of groups: all groups are needed, any item of a group
    suffices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str = Field(min_length=1, max_length=400)
    question: str = Field(min_length=1)
    answers: tuple[str, ...] = ()
    answerable: bool
    gold_doc_ids: tuple[str, ...] = ()
    gold_mode: Literal["any", "all"] = "any"
    gold_evidence: tuple[tuple[GoldEvidence, ...], ...] = ()
    language: str | None = Field(None, alias="lang")
    paraphrases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cluster: str | None = None
    must_pass: bool = False
    pool: str | None = None
    filter: Mapping[str, Any] = Field(default_factory=dict)
    meta: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_language(cls, body: Any) -> Any:
        if isinstance(body, dict) and "language" in body:
            return {**{key: value for key, value in body.items() if key != "language"}, "lang": body["language"]}
        return body

    @model_validator(mode="after")
    def _gold_fits(self) -> EvaluationQuestion:
        if not self.answerable and (self.answers or self.gold_doc_ids or self.gold_evidence):
            raise ValueError("an unanswerable question has no answers and no gold")
        if self.answerable and not (self.gold_doc_ids or self.gold_evidence or self.answers):
            raise ValueError("an answerable question needs answers, gold_doc_ids or gold_evidence")
        return self

    @property
    def evidence_groups(self) -> tuple[tuple[GoldEvidence, ...], ...]:
        """`gold_evidence`, or what its shorthand `gold_doc_ids` means under `gold_mode`."""
        if self.gold_evidence or not self.gold_doc_ids:
            return self.gold_evidence
        documents = tuple(GoldEvidence(document_id=document_id) for document_id in self.gold_doc_ids)
        return (documents,) if self.gold_mode == "any" else tuple((document,) for document in documents)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions in file order; `sha256` (hex) is the hash of their canonical JSON and names the version."""

    questions: tuple[EvaluationQuestion, ...]
    sha256: str = field(default="")


def load_question_set(path: Path) -> QuestionSet:
    """Reads `.jsonl` or `.jsonl.gz`. Raises `InvalidInput` (`invalid_question_set`) naming every wrong line."""
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as lines:
        return parse_question_set(lines)


def parse_question_set(lines: Iterable[str]) -> QuestionSet:
    """One JSON object a line, blank lines left out. Raises as `load_question_set`."""
    questions: list[EvaluationQuestion] = []
    problems: list[FieldProblem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = EvaluationQuestion.model_validate_json(line)
        except ValidationError as failure:
            problems += [FieldProblem(_place(number, error["loc"]), error["msg"]) for error in failure.errors()]
            continue
        if question.id in seen:
            problems.append(
                FieldProblem(f"line {number}.id", f"{question.id!r} stands in line {seen[question.id]} already")
            )
        seen.setdefault(question.id, number)
        questions.append(question)
    if not questions and not problems:
        problems.append(FieldProblem("line 1", "the set has no question"))
    if problems:
        raise InvalidInput(
            f"the question set has {len(problems)} errors, the first in {problems[0].field}: {problems[0].message}",
            code="invalid_question_set",
            problems=tuple(problems),
        )
    return QuestionSet(tuple(questions), _sha256(questions))


def _place(number: int, location: tuple[int | str, ...]) -> str:
    return ".".join([f"line {number}", *map(str, location)])


def _sha256(questions: Iterable[EvaluationQuestion]) -> str:
    bodies = [question.model_dump(mode="json", by_alias=True, exclude={"meta"}) for question in questions]
    return hashlib.sha256(json.dumps(bodies, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
