"""The scripted server passes the contract suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.generate.llm.contract import Endpoint, ServerContract
from tests.scripted_llm import Finish, Say, ScriptedServer, quoting_the_first_passage


class TestScriptedServer(ServerContract):
    """As a real vLLM does in tests/vllm."""

    @pytest.fixture
    def endpoint(self) -> Iterator[Endpoint]:
        def script(body):  # type: ignore[no-untyped-def]
            if body["max_tokens"] == 1024:
                return (Say(("word ",) * 1024), Finish("length"))
            return quoting_the_first_passage(body)

        with ScriptedServer(script, token_s=0.005) as server:
            yield Endpoint(server.url, lambda: server.running, lambda: server.finished)
