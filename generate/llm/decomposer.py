"""Questions that ask for several things, taken apart by the language model for the search."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from generate.llm.client import ChatClient, ChatRequest
from generate.llm.fencing import defused
from generate.llm.grammar import list_of_texts
from generate.llm.prompts import PromptSet, language_of
from generate.llm.reply import reply_of
from ingest.errors import CitewellError

_LOG = logging.getLogger(__name__)
_PARTS_MAX = 3
_PART_CHARS_MAX = 300
_TOKENS_MAX = 256
_CHARS_MAX = 2_000


class LanguageModelDecomposer:
    """Implements `retrieve.QuestionDecomposer` with one call. What the model says is searched for, and nothing else."""

    def __init__(self, client: ChatClient, *, guided: bool, extra: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`guided`: bind the model to a list; `extra` goes into each request as is."""
        self._client = client
        self._grammar = list_of_texts(_PARTS_MAX, chars_max=_PART_CHARS_MAX) if guided else None
        self._extra = extra
        self._prompts = PromptSet("decompose")

    async def parts(self, question: str) -> tuple[str, ...]:
        """At most three. A failing server is no reason to fail: the answer's own call will tell of it."""
        words = defused(" ".join(question.split()))
        messages = self._prompts.messages(language_of(question), question=words)
        request = ChatRequest(messages, _TOKENS_MAX, seed=0, grammar=self._grammar, extra=self._extra)
        try:
            said = await reply_of(self._client, request, chars_max=_CHARS_MAX)
        except CitewellError as failure:
            _LOG.info("a question is searched for as it is: %s", failure.message)
            return ()
        return parts_in(said, question)


def parts_in(said: str, question: str) -> tuple[str, ...]:
    """The parts that a reply names, without the question itself; none where anything about the reply is wrong.

    >>> parts_in('["Who built it?", "When was it built?"]', "Who built it and when?")
    ('Who built it?', 'When was it built?')
    """
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, list) or len(found) > _PARTS_MAX or not all(_is_part(one) for one in found):
        return ()
    parts: dict[str, str] = {}
    for part in found:
        parts.setdefault(_key(part), " ".join(part.split()))
    parts.pop(_key(question), None)
    return tuple(parts.values())


def _is_part(one: object) -> bool:
    """A short text with a letter or figure in it, and no character that belongs in none."""
    return (
        isinstance(one, str)
        and len(one) <= _PART_CHARS_MAX
        and any(char.isalnum() for char in one)
        and not any(unicodedata.category(char) in ("Cc", "Cs") for char in one)
    )


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()
