"""Question sets: what is asked of a collection, and what would be right. Validated whole, with every error at once."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.errors import FieldProblem, InvalidInput
from ingest.strict_json import parse_json
from retrieve.filters import compile_filter

BODY_MAX_BYTES = 64 << 20
CALIBRATION_POOL = "calibrate"
"""The pool whose questions a calibration spends."""

_QUESTIONS_MAX = 100_000
_PARAPHRASES_MAX = 20
_QUESTION_CHARS_MAX = 4_000
_PROBLEMS_MAX = 1_000


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
        if self.char_start is not None and self.char_end is not None and self.char_start >= self.char_end:
            raise ValueError("char_end must be greater than char_start")
        return self


class EvaluationQuestion(BaseModel):
    """A question with its gold. `gold_evidence` is a list of groups: all groups are needed, any item of a group
    suffices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str = Field(min_length=1, max_length=400)
    question: str = Field(min_length=1, max_length=_QUESTION_CHARS_MAX)
    answers: tuple[str, ...] = ()
    answerable: bool
    gold_doc_ids: tuple[str, ...] = ()
    gold_mode: Literal["any", "all"] = "any"
    gold_evidence: tuple[tuple[GoldEvidence, ...], ...] = ()
    language: str | None = Field(None, alias="lang")
    paraphrases: tuple[Annotated[str, Field(min_length=1, max_length=_QUESTION_CHARS_MAX)], ...] = Field(
        (), max_length=_PARAPHRASES_MAX
    )
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
        if not all(self.gold_evidence):
            raise ValueError("a group of gold_evidence is empty; every group needs an item")
        if not self.question.strip() or not all(text.strip() for text in self.paraphrases):
            raise ValueError("a question is blank")
        return self

    @model_validator(mode="after")
    def _filter_is_known(self) -> EvaluationQuestion:
        try:
            compile_filter(self.filter)
        except InvalidInput as failure:
            raise ValueError(failure.message) from failure
        return self

    @property
    def evidence_groups(self) -> tuple[tuple[GoldEvidence, ...], ...]:
        """`gold_evidence`, or what its shorthand `gold_doc_ids` means under `gold_mode`."""
        if self.gold_evidence or not self.gold_doc_ids:
            return self.gold_evidence
        documents = tuple(GoldEvidence(document_id=document_id) for document_id in self.gold_doc_ids)
        return (documents,) if self.gold_mode == "any" else tuple((document,) for document in documents)

    @property
    def cluster_id(self) -> str:
        """What this question shares its fate with: `cluster`, else its first gold document, else itself."""
        if self.cluster is not None:
            return self.cluster
        groups = self.evidence_groups
        return groups[0][0].document_id if groups else self.id

    def is_stale(self, documents: frozenset[str]) -> bool:
        """Whether a needed group of gold evidence has lost all its documents; `documents` are those there are."""
        return any(all(gold.document_id not in documents for gold in group) for group in self.evidence_groups)


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions in file order; `sha256` (hex) is the hash of their canonical JSON and names the version."""

    questions: tuple[EvaluationQuestion, ...]
    sha256: str = field(default="")


def load_question_set(path: Path) -> QuestionSet:
    """Reads `.jsonl` or `.jsonl.gz`. Raises `InvalidInput` (`invalid_question_set`) naming every wrong line."""
    return read_question_set(path.read_bytes())


def read_question_set(data: bytes) -> QuestionSet:
    """JSON lines in UTF-8, gzipped or not, of at most 64 MiB. Raises as `load_question_set`."""
    if data[:2] == b"\x1f\x8b":
        data = _unzipped(data)
    try:
        return parse_question_set(data.decode("utf-8-sig").split("\n"))
    except UnicodeDecodeError as failure:
        line = data[: failure.start].count(b"\n") + 1
        raise _invalid([FieldProblem(f"line {line}", "it is not UTF-8")]) from failure


def _unzipped(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(data, BODY_MAX_BYTES)
        whole = unpacker.eof or not unpacker.unconsumed_tail
    except zlib.error as failure:
        raise _invalid([FieldProblem("line 1", f"the gzip stream is damaged: {failure}")]) from failure
    if not whole:
        raise _invalid([FieldProblem("line 1", f"unpacked it has more than {BODY_MAX_BYTES:,} bytes; split it")])
    return text


def parse_question_set(lines: Iterable[str]) -> QuestionSet:
    """One JSON object a line, blank lines left out. Raises as `load_question_set`."""
    questions: list[EvaluationQuestion] = []
    problems: list[FieldProblem] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = EvaluationQuestion.model_validate(parse_json(line))
        except ValidationError as failure:
            problems += [FieldProblem(_place(number, error["loc"]), error["msg"]) for error in failure.errors()]
            continue
        except ValueError as failure:
            problems.append(FieldProblem(f"line {number}", str(failure)))
            continue
        if question.id in seen:
            problems.append(
                FieldProblem(f"line {number}.id", f"{question.id!r} stands in line {seen[question.id]} already")
            )
        seen.setdefault(question.id, number)
        questions.append(question)
    if not questions and not problems:
        problems.append(FieldProblem("line 1", "the set has no question"))
    if len(questions) > _QUESTIONS_MAX:
        problems.append(FieldProblem("line 1", f"the set has more than {_QUESTIONS_MAX:,} questions; split it"))
    if problems:
        raise _invalid(problems)
    return QuestionSet(tuple(questions), _sha256(questions))


def dump_question_set(questions: QuestionSet) -> str:
    """The set as JSON lines, which `parse_question_set` reads back."""
    return "".join(
        question.model_dump_json(by_alias=True, exclude_defaults=True) + "\n" for question in questions.questions
    )


def _invalid(problems: list[FieldProblem]) -> InvalidInput:
    count = "an error" if len(problems) == 1 else f"{len(problems)} errors, the first"
    return InvalidInput(
        f"the question set has {count} in {problems[0].field}: {problems[0].message}",
        code="invalid_question_set",
        problems=tuple(problems[:_PROBLEMS_MAX]),
    )


def _place(number: int, location: tuple[int | str, ...]) -> str:
    return ".".join([f"line {number}", *map(str, location)])


def _sha256(questions: Iterable[EvaluationQuestion]) -> str:
    bodies = [question.model_dump(mode="json", by_alias=True, exclude={"meta"}) for question in questions]
    return hashlib.sha256(json.dumps(bodies, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
