"""Working through a list several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def at_once(work: Callable[[], Coroutine[Any, Any, None]], *, workers: int) -> None:
    """`work` that many times side by side. The first failure ends the others, which are over when it is raised."""
    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
