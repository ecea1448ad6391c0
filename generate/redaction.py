"""Masking what must not be kept: configured patterns in questions, answers and traces, before they are stored.

Every character of a match becomes `█`, so that offsets stay true.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from generate.answer import Answer
from ingest.errors import InvalidInput

MASK = "█"
_ANSWER = TypeAdapter(Answer)
_KEPT = frozenset({"answer_id", "created_at", "document_id", "generation", "fingerprint", "chunk_id"})


class Redaction:
    """Masks what any of the patterns matches; with no patterns it changes nothing."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Raises `InvalidInput` for what is no regular expression."""
        try:
            self._patterns = [re.compile(pattern) for pattern in patterns]
        except re.error as wrong:
            raise InvalidInput(
                f"redaction pattern {wrong.pattern!r} is no regular expression: {wrong}", code="invalid_pattern"
            ) from wrong

    def text(self, text: str) -> str:
        for pattern in self._patterns:
            text = pattern.sub(lambda match: MASK * len(match.group()), text)
        return text

    def json(self, value: Any) -> Any:
        """A JSON value with every string masked, but those that name something of ours."""
        if not self._patterns:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: one if key in _KEPT else self.json(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(one) for one in value]
        return value

    def answer(self, answer: Answer) -> Answer:
        """The answer as it would be stored."""
        if not self._patterns:
            return answer
        return _ANSWER.validate_python(self.json(_ANSWER.dump_python(answer, mode="json")))
