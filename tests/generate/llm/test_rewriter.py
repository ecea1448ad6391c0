"""Follow-up questions rewritten by a language model."""

from __future__ import annotations

import pytest

from generate.follow_ups import FollowUpRewriter
from generate.llm import ChatClient, LanguageModelRewriter
from tests.scripted_llm import MODEL, Script, ScriptedServer, Status, doing, saying

BEFORE = ["How tall is the Eiffel Tower?"]


@pytest.mark.parametrize(
    ("script", "used"),
    [
        (saying('"When was the Eiffel Tower', ' opened?"'), "When was the Eiffel Tower opened?"),
        (saying("<think>it</think>When was the tower built?"), "When was the tower built?"),
        (saying(""), "When was the Eiffel Tower built?"),
        (saying("a\nb"), "When was the Eiffel Tower built?"),
        (saying("x" * 5000), "When was the Eiffel Tower built?"),
        (doing(Status(500)), "When was the Eiffel Tower built?"),
    ],
)
async def test_only_a_plausible_line_is_taken(script: Script, used: str) -> None:
    """Otherwise the rule serves: a failing model costs no question."""
    with ScriptedServer(script) as server:
        client = ChatClient(server.url, MODEL, retries=0)
        rewriter = LanguageModelRewriter(client, FollowUpRewriter(), {"top_p": 0.5})
        assert await rewriter.rewrite("When was it built?", BEFORE) == used
        assert server.requests[0]["top_p"] == 0.5
        assert "Eiffel Tower" in server.requests[0]["messages"][1]["content"]
        assert await rewriter.rewrite("When was it built?", []) == "When was it built?"
        assert len(server.requests) == 1
        await client.aclose()
