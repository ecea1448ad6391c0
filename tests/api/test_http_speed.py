"""The client that measures searches over HTTP, against a real server."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import httpx
import pytest

from eval.bench.http_speed import SearchClient


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The replies that the client has read."""
    replies: list[Any] = []
    read = SearchClient._reply
    monkeypatch.setattr(SearchClient, "_reply", lambda self: (replies.append(read(self)), replies[-1])[1])
    return replies


def test_searches_of_one_connection_are_timed(filled: httpx.Client, seen: list[Any]) -> None:
    """Each reads the whole reply, whatever its length, so that the next one finds its own."""
    client = SearchClient(str(filled.base_url), "default")
    spent = [client.search(query) for query in ("who is the harbour master", "¿ferries?", "nothing of the kind")]
    client.close()
    expected = [filled.post("/v1/collections/default/search", json={"query": "¿ferries?", "rerank": False})]
    assert all(ms > 0 for ms in spent)
    assert [status for status, _ in seen] == [200] * 3
    assert expected[0].json()["hits"][0]["text"].encode() in seen[1][1]


def test_a_search_that_is_not_answered_is_no_figure(filled: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal, a reply of unknown length, and a connection that ends."""
    with closing(SearchClient(str(filled.base_url), "nowhere")) as client, pytest.raises(RuntimeError, match="404"):
        client.search("a")
    with closing(SearchClient(str(filled.base_url), "default")) as client:
        client._socket.shutdown(socket.SHUT_RD)
        with pytest.raises(RuntimeError, match="closed"):
            client.search("a")
    monkeypatch.setattr(SearchClient, "_received", lambda _self: b"HTTP/1.1 200 OK\r\n\r\n")
    with closing(SearchClient(str(filled.base_url), "default")) as client, pytest.raises(RuntimeError, match="length"):
        client.search("a")
