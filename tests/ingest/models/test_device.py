"""How forwards share a device."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from ingest.models import Device, device_of


def test_forwards_on_a_cpu_share_its_threads() -> None:
    """Each worker's thread gets its part, and keeps it whatever the others are told."""
    device = device_of("cpu")
    threads = torch.get_num_threads()
    assert device.workers == min(threads, 4)

    def threads_of(sharers: int) -> int:
        device.share(sharers)
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(threads_of, 1).result() == threads
        assert other.submit(threads_of, threads).result() == 1
        assert one.submit(torch.get_num_threads).result() == threads


def test_a_graphics_card_runs_one_forward_at_a_time() -> None:
    """As large as what is queued."""
    assert device_of("cuda:1") == Device()
