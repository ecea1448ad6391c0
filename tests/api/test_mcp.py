"""The Model Context Protocol, used with the official client."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from api.bootstrap import Service
from api.keys import Keys
from tests.api.live import HARBOUR, SHIPS, problem, upload

QUESTION = "When does the ferry Aurora sail from Norrhamn?"


async def call(url: str, tool: str, key: str | None = None, **arguments: Any) -> tuple[str, Any, bool]:
    """Text, structured content, and whether it is an error."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        result = await client.call_tool(tool, arguments)
    return result.content[0].text, result.structured_content, result.is_error  # type: ignore[union-attr]


async def test_the_tools_say_what_they_take(url: str) -> None:
    """In modern and in older clients."""
    for mode in ("auto", "legacy"):
        async with Client(f"{url}/mcp", mode=mode) as client:  # type: ignore[arg-type]
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == {"search", "ask", "get_document"}
        assert "question" in tools["ask"].input_schema["required"]


async def test_tools_answer_as_the_routes_do(url: str, filled: httpx.Client) -> None:
    """Search, answer with quotes, text of a document."""
    text, body, _ = await call(url, "search", query="ferry Aurora")
    assert "ships.txt" in text
    assert body["hits"][0]["document_id"] == "ships.txt"
    text, body, _ = await call(url, "ask", question=QUESTION)
    assert "07:30" in text
    assert "[1] ships.txt (version 1)" in text
    whole = await asyncio.to_thread(filled.post, "/v1/collections/default/ask", json={"question": QUESTION})
    assert body["answer"] == whole.json()["answer"]
    text, body, _ = await call(url, "ask", question="Zebra quux?")
    assert text.startswith("No answer (")
    text, body, _ = await call(url, "get_document", document_id="ships.txt", char_start=4, char_end=9)
    assert (text, body["document_id"]) == (SHIPS[4:9], "ships.txt")


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("nix", {}, "there is no tool 'nix'"),
        ("ask", {}, "question"),
        ("ask", {"question": "a", "colour": 1}, "colour"),
        ("ask", {"question": "x" * 100_000}, "question_too_long"),
        ("search", {"query": "a", "filter": {"colour": 1}}, "invalid_filter"),
        ("search", {"query": "a", "collection": "nix"}, "collection_not_found"),
        ("get_document", {"document_id": "nix"}, "document_not_found"),
    ],
)
async def test_a_wrong_call_says_what_is_wrong(url: str, tool: str, arguments: dict[str, Any], said: str) -> None:
    """As the result of the call."""
    text, _, failed = await call(url, tool, **arguments)
    assert failed
    assert said in text


async def test_a_key_sees_what_it_may_see(url: str, client: httpx.Client, service: Service) -> None:
    """Collections and tags count here as everywhere; without a key there is nothing."""
    upload(client, {"ships.txt": SHIPS})
    upload(client, {"harbour.txt": HARBOUR}, access="hr")
    keys = Keys(service.catalogue)
    secret = keys.create("board", scopes=("read",), collections=["default"], tags=["board"])[1]
    text, _, failed = await call(url, "search", secret, query="harbour master Ingrid Solberg")
    assert not failed
    assert "Solberg" not in text
    text, _, failed = await call(url, "get_document", secret, document_id="harbour.txt")
    assert (failed, "document_not_found" in text) == (True, True)
    text, _, failed = await call(url, "ask", secret, question="a", collection="mine")
    assert (failed, "forbidden" in text) == (True, True)
    problem(await asyncio.to_thread(client.post, "/mcp", json={}), 401, "unauthorized")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"jsonrpc": "2.0"}', b"\xff", b"[" * 100_000])
def test_garbage_is_refused(client: httpx.Client, content: bytes) -> None:
    """With a status that says so, never with a failure of the service."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    assert 400 <= client.post("/mcp", content=content, headers=headers).status_code < 500
    assert client.get("/mcp").status_code == 405
