"""The prompts: versioned files in English and Chinese, and what goes into them.

What never changes comes first and the question last, so that a server with a prefix cache computes the common
beginning of two prompts once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Literal

from generate.llm.client import Message
from generate.llm.fencing import defused, fenced
from ingest.errors import FieldProblem, InvalidInput
from ingest.sentences import cjk_share
from retrieve import Hit

Language = Literal["en", "zh"]
NO_ANSWER = "NO ANSWER"
"""What a model is to reply when the passages do not answer."""

_SEPARATOR = "=== user ===\n"
_LANGUAGES: tuple[Language, ...] = ("en", "zh")
_CHINESE_SHARE = 0.3
_TEMPLATE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TEMPLATE_CHARS_MAX = 4_000
_TEMPLATES_MAX = 64


@dataclass(frozen=True, slots=True)
class _Text:
    system: Template
    user: Template


class PromptSet:
    """The files of one purpose (`answer`, `quotes`, `follow-up`, `decompose`) and version, in every language."""

    def __init__(self, purpose: str, version: int = 1) -> None:
        folder = files("generate.llm") / "prompts"
        contents = [(folder / f"{purpose}-{version}.{language}.md").read_text("utf-8") for language in _LANGUAGES]
        self.name = f"{purpose}-{version}@{hashlib.sha256(''.join(contents).encode()).hexdigest()[:8]}"
        self._texts = {language: _split(content) for language, content in zip(_LANGUAGES, contents, strict=True)}

    def messages(self, language: Language, *, instructions: str | None = None, **values: str) -> tuple[Message, ...]:
        """System and user message; `instructions` are a collection's own, `values` what the file names."""
        text = self._texts[language]
        system = text.system.substitute(instructions=instructions or "").strip()
        user = text.user.substitute(values).strip()
        return ({"role": "system", "content": system}, {"role": "user", "content": user})


@cache
def prompt_name(purpose: str) -> str:
    """Version and content of the prompt of a purpose, as it stands in fingerprints."""
    return PromptSet(purpose).name


def language_of(question: str) -> Language:
    """The language whose prompt fits the question: Chinese for a third of Han characters and more, else English."""
    return "zh" if cjk_share(question) > _CHINESE_SHARE else "en"


def answer_messages(
    prompts: PromptSet, question: str, passages: Sequence[Hit], instructions: str | None = None
) -> tuple[Message, ...]:
    """The prompt for an answer; passages are numbered from 1 in the order given, each in its fence."""
    return prompts.messages(
        language_of(question),
        instructions=instructions,
        passages="".join(fenced(number, hit) for number, hit in enumerate(passages, start=1)),
        question=defused(question),
    )


def check_templates(templates: Mapping[str, str]) -> None:
    """Raises `InvalidInput` (`invalid_template`) naming every template that cannot serve as instructions to a model."""
    problems = [
        FieldProblem(f"templates.{name[:64]}", fault)
        for name, text in templates.items()
        if (fault := _template_fault(name, text)) is not None
    ]
    if len(templates) > _TEMPLATES_MAX:
        problems.append(FieldProblem("templates", f"there are {len(templates)}; at most {_TEMPLATES_MAX} fit"))
    if problems:
        detail = "; ".join(f"{problem.field}: {problem.message}" for problem in problems[:5])
        raise InvalidInput(detail, code="invalid_template", problems=tuple(problems))


def _template_fault(name: str, text: str) -> str | None:
    if not _TEMPLATE_NAME.fullmatch(name):
        return "a name is 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    if not text.strip():
        return "it is empty; write what the model is to heed, for example: Answer in one sentence."
    if len(text) > _TEMPLATE_CHARS_MAX:
        return f"it has {len(text):,} characters, the limit is {_TEMPLATE_CHARS_MAX:,}; shorten it"
    if defused(text) != text:
        return "it holds a control token of a chat template; write plain text"
    return None


def _split(content: str) -> _Text:
    system, user = content.split(_SEPARATOR)
    return _Text(Template(system), Template(user))
