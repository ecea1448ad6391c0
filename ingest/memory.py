"""Giving freed memory back to the system.

glibc keeps what was freed between pieces that are still in use, in an arena for every few threads; so a service that
has ingested for hours would hold far more than it uses. Other C libraries do without.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from ingest.keeper import Keeper

_EVERY_S = 10.0


class MemoryKeeper(Keeper):
    """Trims the heap every ten seconds, where the C library can (some milliseconds, most of them when much is free)."""

    def __init__(self) -> None:
        super().__init__("memory-keeper", every_s=_EVERY_S, first_after_s=_EVERY_S)
        self._trim = _heap_trimmer()

    def tend(self) -> None:
        if self._trim is not None:
            self._trim(0)


def _heap_trimmer() -> Callable[[int], int] | None:
    """`malloc_trim` of glibc; called without the interpreter's lock."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = (ctypes.c_size_t,), ctypes.c_int
    found: Callable[[int], int] = trim
    return found
