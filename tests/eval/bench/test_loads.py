"""Loads: every query once, whoever asks it, and a failure is told."""

from __future__ import annotations

import threading

import pytest

from eval.bench.loads import measure_load


@pytest.mark.parametrize("clients", [1, 4])
def test_the_clients_share_the_queries_out(clients: int) -> None:
    """Each opens its own connection; every query is asked once."""
    asked: list[str] = []
    opened: list[int] = []

    def connect() -> object:
        opened.append(threading.get_ident())
        return asked.append

    queries = [f"query {number}" for number in range(20)]
    load = measure_load(connect, queries, clients=clients)  # type: ignore[arg-type]
    assert sorted(asked) == sorted(queries)
    assert len(opened) == clients
    assert (load.clients, load.searches) == (clients, 20)
    assert load.p50_ms <= load.p95_ms


def test_a_failed_search_ends_the_measurement() -> None:
    """With what went wrong."""

    def search(query: str) -> None:
        raise ValueError(f"no {query}")

    with pytest.raises(RuntimeError, match=r"only 0 of 2 searches.*no a"):
        measure_load(lambda: search, ["a", "b"], clients=1)


def test_a_slow_system_is_asked_less() -> None:
    """Each client once at least, and nothing after the time is over."""
    asked: list[str] = []
    load = measure_load(lambda: asked.append, [f"query {number}" for number in range(20)], clients=3, within_s=0)
    assert 1 <= load.searches == len(asked) <= 3
