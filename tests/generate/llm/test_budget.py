"""Prompts that fit into the model's context."""

from __future__ import annotations

import pytest

from generate.llm import ChatClient
from generate.llm.budget import PromptFitter, estimated_tokens, most_tokens
from generate.llm.client import ChatRequest
from generate.llm.prompts import PromptSet, answer_messages
from ingest.errors import InvalidInput, Unavailable
from tests.hits import hit_of
from tests.scripted_llm import MODEL, ScriptedServer, Status, doing, prompt_tokens

LONG = " ".join(f"The ferry number {n} sails at noon on every second day of the week." for n in range(40))


async def test_passages_are_dropped_from_the_end_of_the_ranking() -> None:
    """And stand in the prompt in an order that does not depend on the ranking."""
    hits = [hit_of("b.md", LONG), hit_of("a.md", "Short and good.", rank=2), hit_of("c.md", LONG, rank=3)]
    with ScriptedServer() as server:
        client = ChatClient(server.url, MODEL)
        fitted = await PromptFitter(client, PromptSet("answer"), answer_tokens=100).fit("When?", hits, None)
        await client.aclose()
    assert [hit.document_id for hit in fitted.passages] == ["a.md", "b.md"]
    assert (fitted.dropped, fitted.shortened, fitted.counted) == ((3,), None, True)
    assert fitted.tokens <= 2048 - 100


async def test_two_counts_tell_which_passages_fit() -> None:
    """The first one tells what a character costs here."""
    hits = [hit_of(f"{n}.md", " ".join(LONG.split()[: 60 * n]), rank=n) for n in range(1, 9)]
    with ScriptedServer() as server:
        client = ChatClient(server.url, MODEL)
        fitted = await PromptFitter(client, PromptSet("answer"), answer_tokens=100).fit("When?", hits, None)
        await client.aclose()
    assert (server.counted, fitted.dropped) == (2, (5, 6, 7, 8))
    assert prompt_tokens(answer_messages(PromptSet("answer"), "When?", hits[:5])) > 2048 - 100


async def test_what_fits_in_any_case_is_not_counted() -> None:
    """Once the context is known, and until the server fails: it may be another one then."""
    with ScriptedServer(context=16_384) as server:
        client = ChatClient(server.url, MODEL)
        fitter = PromptFitter(client, PromptSet("answer"), answer_tokens=100)
        short, long = [hit_of("a.md", LONG)], [hit_of("a.md", LONG * 6)]
        assert [(await fitter.fit("When?", hits, None)).counted for hits in (short, short, long)] == [True, False, True]
        server.script = doing(Status(500))
        with pytest.raises(Unavailable):
            await anext(client.stream(ChatRequest(({"role": "user", "content": "hi"},), 5)))
        again = await fitter.fit("When?", short, None)
        assert again.counted
        assert again.tokens <= most_tokens(again.messages)
        await client.aclose()


async def test_a_passage_that_does_not_fit_loses_whole_sentences_and_says_so() -> None:
    """Never half a sentence."""
    with ScriptedServer() as server:
        client = ChatClient(server.url, MODEL)
        fitted = await PromptFitter(client, PromptSet("answer"), answer_tokens=100).fit(
            "When?", [hit_of("a.md", LONG * 3)], None
        )
        [passage] = fitted.passages
        assert fitted.shortened == 1
        assert passage.text == LONG[: len(passage.text)] or (LONG * 3).startswith(passage.text)
        assert passage.text.endswith("week.")
        with pytest.raises(InvalidInput) as caught:
            await PromptFitter(client, PromptSet("answer"), answer_tokens=100).fit(
                "Why? " * 2000, [hit_of("a.md", LONG)], None
            )
        assert caught.value.code == "question_too_long"
        await client.aclose()


async def test_a_server_that_cannot_count_is_asked_once_and_estimated() -> None:
    """With the context that the settings name, or a modest one."""
    with ScriptedServer(counts_tokens=False) as server:
        client = ChatClient(server.url, MODEL)
        fitter = PromptFitter(client, PromptSet("answer"), answer_tokens=100, context_tokens=1500)
        fitted = await fitter.fit("When?", [hit_of("a.md", LONG), hit_of("b.md", LONG, rank=2)], None)
        assert (fitted.counted, fitted.dropped) == (False, (2,))
        assert await client.count_tokens(fitted.messages) is None
        await client.aclose()


def test_estimates_are_rather_high() -> None:
    """Byte-level tokenizers make about 4 characters of English, and 1 to 1.5 of Chinese, a token."""
    assert estimated_tokens("word " * 100) >= 200
    assert estimated_tokens("渡轮" * 50) >= 100
