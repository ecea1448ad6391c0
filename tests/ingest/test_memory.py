"""Freed memory goes back to the system."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest import memory
from ingest.memory import MemoryKeeper, bound_arenas


def resident_kib() -> int:
    """What of this process is no mapped file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def test_what_was_freed_between_pieces_in_use_is_given_back() -> None:
    """Blocks of 8 kB, every hundredth of which stays: glibc by itself would keep nearly all of their 80 MB."""
    keeper = MemoryKeeper()
    if keeper._trim is None:
        pytest.skip("this C library has no malloc_trim")
    blocks = [bytes(8_000) for _ in range(10_000)]
    blocks = blocks[::100]
    before = resident_kib()
    keeper.tend()
    assert resident_kib() < before - 50_000
    assert len(blocks) == 100


def test_other_libraries_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library without these functions is no error."""
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    bound_arenas()
    MemoryKeeper().tend()


@pytest.mark.parametrize(("environment", "calls"), [({}, [(-8, 2)]), ({"MALLOC_ARENA_MAX": "4"}, [])])
def test_an_operator_may_choose_the_arenas(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], calls: list[tuple[int, int]]
) -> None:
    """By the variable that glibc knows."""
    called: list[tuple[int, int]] = []
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(memory, "_function", lambda name, *arguments: lambda *given: called.append(given))
    bound_arenas()
    assert called == calls
