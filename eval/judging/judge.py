"""The judge: a language model behind an OpenAI-compatible server, bound to the JSON schema that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Protocol

from generate.llm import ChatClient, ChatRequest
from generate.llm.wire import Delta

_LIMITS: Mapping[str, Mapping[str, int]] = {
    "string": {"maxLength": 600},
    "array": {"maxItems": 32},
    "integer": {"minimum": 0, "maximum": 10},
}
"""Generous for verdicts, ratings, statements and reasons, which is all that is asked for."""


class Judge(Protocol):
    """Whoever answers a prompt with JSON. `identity` names everything that its replies depend on, beside the prompt."""

    @property
    def identity(self) -> str: ...

    async def complete(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """The reply, which need not be valid. Raises `CitewellError` when there is none."""
        ...


class ServerJudge:
    """Asks at temperature 0 with a fixed seed, so that the same question has, as far as the server can, one reply."""

    def __init__(self, client: ChatClient, *, max_tokens: int, seed: int = 7) -> None:
        self._client, self._max_tokens, self._seed = client, max_tokens, seed

    @property
    def identity(self) -> str:
        return f"{self._client.model} at {self._client.url}, seed {self._seed}, {self._max_tokens} tokens"

    async def complete(self, prompt: str, schema: Mapping[str, Any]) -> str:
        """Raises `Unavailable`, `Overloaded` and `DeadlineExceeded`."""
        request = ChatRequest(
            ({"role": "user", "content": prompt},),
            self._max_tokens,
            seed=self._seed,
            extra={
                "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": bounded(schema)}}
            },
        )
        async with aclosing(self._client.stream(request)) as pieces:
            return "".join([piece.text async for piece in pieces if isinstance(piece, Delta)])

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._client.aclose()


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with an end to every text, list and whole number, so that a babbling judge comes to one, too."""
    limits = _LIMITS.get(str(schema.get("type")), {})
    return {**limits, **{name: _bounded(part) for name, part in schema.items()}}


def _bounded(part: Any) -> Any:
    if isinstance(part, Mapping):
        return bounded(part)
    return part
