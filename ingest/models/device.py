"""How many forwards a device runs at once, and how they share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_SIDE_BY_SIDE_MAX = 4
_BATCH_COST = 2048


def _alone(_sharers: int) -> None:
    """Nothing is to be shared."""


@dataclass(frozen=True, slots=True)
class Device:
    """`workers` forwards run side by side; each is told before, on its own thread, by `share` how many there are now.

    Queries of several callers share a forward as long as they cost `batch_cost` tokens together; None: without limit.
    """

    workers: int = 1
    batch_cost: int | None = None
    share: Callable[[int], None] = _alone


def device_of(name: str) -> Device:
    """The device that a setting names (`auto`, `cpu`, `cuda`, …).

    A graphics card runs one forward after the other, each as large as possible. On a CPU a larger one is no cheaper,
    and threads that wait for each other waste time: one forward alone gets all threads, several get a part each.
    """
    import torch

    if not (name.startswith("cpu") or (name == "auto" and not torch.cuda.is_available())):
        return Device()
    threads = torch.get_num_threads()

    def share(sharers: int) -> None:
        torch.set_num_threads(max(1, threads // sharers))

    return Device(min(threads, _SIDE_BY_SIDE_MAX), _BATCH_COST, share)
