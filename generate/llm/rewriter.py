"""Follow-up questions rewritten by the language model; by rule where it fails or says something else."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from generate.llm.client import ChatClient, ChatRequest
from generate.llm.fencing import defused
from generate.llm.prompts import PromptSet, language_of
from generate.llm.reply import reply_of
from ingest.errors import CitewellError
from retrieve import QueryRewriter

_LOG = logging.getLogger(__name__)
_TOKENS_MAX = 128
_CHARS_MAX = 600
_GROWTH_MAX = 400


class LanguageModelRewriter:
    """Implements `retrieve.QueryRewriter`. Whatever the model says, only a plausible single line is taken from it."""

    def __init__(
        self, client: ChatClient, fallback: QueryRewriter, extra: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """`extra` goes into each request as is."""
        self._client = client
        self._fallback = fallback
        self._extra = extra
        self._prompts = PromptSet("follow-up")

    async def rewrite(self, question: str, history: Sequence[str]) -> str:
        """A failing server is no reason to fail: the rule serves, and the answer's own call will tell of it."""
        if not history:
            return question
        try:
            said = await self._ask(question, history)
        except CitewellError as failure:
            _LOG.info("a follow-up is rewritten by rule: %s", failure.message)
            said = ""
        if not 0 < len(said) <= min(len(question) + _GROWTH_MAX, _CHARS_MAX) or "\n" in said:
            return await self._fallback.rewrite(question, history)
        return said

    async def _ask(self, question: str, history: Sequence[str]) -> str:
        messages = self._prompts.messages(
            language_of(question),
            history="\n".join(f"- {defused(' '.join(one.split()))}" for one in history),
            question=defused(" ".join(question.split())),
        )
        request = ChatRequest(messages, _TOKENS_MAX, seed=0, extra=self._extra)
        return (await reply_of(self._client, request, chars_max=_CHARS_MAX)).strip('"“”「」')
