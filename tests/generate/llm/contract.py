"""What citewell relies on in a language model server. The scripted server passes it in every run of the tests, a real
vLLM in `make test-vllm`; a suite is a subclass with the fixture `endpoint`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import pytest

from generate.answer import Usage
from generate.llm import ChatClient, ChatRequest
from generate.llm.client import first_model
from generate.llm.prompts import PromptSet, answer_messages
from generate.llm.wire import Delta, Ended
from ingest.errors import Unavailable
from tests.hits import hit_of

PASSAGES = (
    hit_of("fulmar.md", "MV Fulmar stops at 34 knots. The master decides at 05:00."),
    hit_of("food.md", "The café on deck five sells soup and bread. It closes at nine.", rank=2),
)


@dataclass(frozen=True)
class Endpoint:
    """A server under test, and how many of its answers are under way and came to their end."""

    url: str
    running: Callable[[], int]
    finished: Callable[[], int]

    def client(self) -> ChatClient:
        return ChatClient(self.url, first_model(self.url, None, timeout_s=5))


def request(max_tokens: int = 64, question: str = "At what wind does MV Fulmar stop?") -> ChatRequest:
    """The prompt of the service itself over two passages."""
    messages = answer_messages(PromptSet("answer"), question, PASSAGES)
    return ChatRequest(messages, max_tokens, seed=0)


async def answer(client: ChatClient, asked: ChatRequest) -> tuple[str, list[str], list[Usage], int]:
    """Text, finish reasons, usages, and the number of pieces that held text."""
    text, reasons, usages, pieces = "", [], [], 0
    async with aclosing(client.stream(asked)) as stream:
        async for piece in stream:
            match piece:
                case Delta(more):
                    text += more
                    pieces += bool(more)
                case Ended(reason, usage):
                    reasons += [reason] if reason else []
                    usages += [usage] if usage else []
    return text, reasons, usages, pieces


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class ServerContract:
    """Streams, counts, ends, stops."""

    async def test_an_answer_comes_in_pieces_and_ends_once(self, endpoint: Endpoint) -> None:
        """With text, one finish reason, and one usage."""
        client = endpoint.client()
        text, reasons, usages, pieces = await answer(client, request())
        assert text
        assert pieces > 1
        assert len(reasons) == len(usages) == 1
        await client.aclose()

    async def test_usage_agrees_with_the_count_of_the_prompt(self, endpoint: Endpoint) -> None:
        """What /tokenize counts is what the answer costs."""
        client, asked = endpoint.client(), request()
        counted = await client.count_tokens(asked.messages)
        _, _, [usage], _ = await answer(client, asked)
        assert counted is not None
        assert counted[0] == usage.prompt_tokens
        assert counted[1] == 2048
        assert 0 < usage.completion_tokens <= asked.max_tokens
        await client.aclose()

    async def test_an_answer_stops_at_its_longest_length(self, endpoint: Endpoint) -> None:
        """And says so."""
        client = endpoint.client()
        _, reasons, [usage], _ = await answer(client, request(max_tokens=3))
        assert reasons == ["length"]
        assert usage.completion_tokens == 3
        await client.aclose()

    async def test_equal_requests_get_equal_answers(self, endpoint: Endpoint) -> None:
        """At temperature 0 with a seed."""
        client = endpoint.client()
        first, second = [(await answer(client, request()))[0] for _ in range(2)]
        assert first == second
        await client.aclose()

    async def test_hanging_up_stops_the_server(self, endpoint: Endpoint) -> None:
        """Long before the answer's end; within a second on a machine that is not busy otherwise."""
        client = endpoint.client()
        before = endpoint.finished()
        async with aclosing(client.stream(request(max_tokens=1024))) as stream:
            async for piece in stream:
                if isinstance(piece, Delta) and piece.text:
                    break
        assert await asyncio.to_thread(eventually, lambda: endpoint.running() == 0, 10.0)
        assert await asyncio.to_thread(endpoint.finished) == before
        await client.aclose()

    async def test_an_unknown_model_is_named(self, endpoint: Endpoint) -> None:
        """As something to correct, not to try again."""
        client = ChatClient(endpoint.url, "nix")
        with pytest.raises(Unavailable) as caught:
            await answer(client, request())
        assert (caught.value.code, caught.value.retryable) == ("generator_refused_model", False)
        with pytest.raises(Unavailable, match="has no model 'nix'"):
            await asyncio.to_thread(client.ping)
        await client.aclose()

    async def test_a_prompt_beyond_the_context_is_refused(self, endpoint: Endpoint) -> None:
        """With the server's own words."""
        client = endpoint.client()
        asked = request()
        asked = replace(asked, messages=(*asked.messages, {"role": "user", "content": "knots wind " * 3000}))
        with pytest.raises(Unavailable) as caught:
            await answer(client, asked)
        assert caught.value.code == "generator_refused_request"
        await client.aclose()
