"""A running server for the tests of the HTTP contract."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.bootstrap import Service
from tests.api.live import HARBOUR, SHIPS, running, upload


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    """Base URL of a server on a fresh data directory."""
    with running(service) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=url, timeout=30) as opened:
        yield opened


@pytest.fixture
def filled(client: httpx.Client) -> httpx.Client:
    """A client whose server holds two documents in `default`."""
    upload(client, {"ships.txt": SHIPS, "people/harbour.md": f"# Office\n\n{HARBOUR}"})
    return client
