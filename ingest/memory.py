"""Giving freed memory back to the system.

glibc keeps what was freed between pieces that are still in use, in an arena for every few threads; so a service that
has ingested for hours would hold far more than it uses. Other C libraries do without.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from ingest.keeper import Keeper

_EVERY_S = 2.0
_M_ARENA_MAX = -8  # malloc.h of glibc
_ARENAS = 2


class MemoryKeeper(Keeper):
    """Trims the heap every two seconds, where the C library can (a millisecond or two each time)."""

    def __init__(self) -> None:
        super().__init__("memory-keeper", every_s=_EVERY_S, first_after_s=_EVERY_S)
        self._trim = _function("malloc_trim", ctypes.c_size_t)

    def tend(self) -> None:
        if self._trim is not None:
            self._trim(0)


def bound_arenas() -> None:
    """Have all threads share two arenas, where there would be up to eight for each core, each with its own gaps.

    Nearly all that allocates does so under the interpreter's lock, so they hardly wait for each other. For a process
    that has just begun; the environment variable `MALLOC_ARENA_MAX` of glibc takes precedence.
    """
    limit = _function("mallopt", ctypes.c_int, ctypes.c_int)
    if limit is not None and "MALLOC_ARENA_MAX" not in os.environ:
        limit(_M_ARENA_MAX, _ARENAS)


def _function(name: str, *arguments: Any) -> Callable[..., int] | None:
    """A function of the C library that returns an int, called without the interpreter's lock; None if it has none."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes, function.restype = arguments, ctypes.c_int
    found: Callable[..., int] = function
    return found
