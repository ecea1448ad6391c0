"""What so many clients get from a search, whatever it is. Needs the standard library only: peers run it, too."""

from __future__ import annotations

import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Search = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Load:
    """What so many clients, each with one search under way, got in one run; times in milliseconds."""

    clients: int
    searches: int
    per_second: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    """Processor time a search of the process that searches."""


def measure_load(
    connect: Callable[[], Search],
    queries: Sequence[str],
    *,
    clients: int,
    pid: int | None = None,
    within_s: float = math.inf,
) -> Load:
    """Shares the queries out among the clients; the clock runs from the first request to the last reply.

    `connect` is called once a client, in its thread. A client that has had an answer asks nothing more once `within_s`
    are over. Processor time is that of process `pid`, by default of this one. Raises `RuntimeError` when a search
    failed.
    """
    pending, lock = iter(queries), threading.Lock()
    times: list[float] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            search = connect()
            while True:
                with lock:
                    query = next(pending, None)
                if query is None:
                    return
                asked = time.perf_counter()
                search(query)
                ended = time.perf_counter()
                times.append((ended - asked) * 1000)
                if ended - begun > within_s:
                    return
        except Exception as failure:  # noqa: BLE001 - it is told below, with the others
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begun, cpu_begun = time.perf_counter(), cpu_s(pid)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, spent_s = time.perf_counter() - begun, cpu_s(pid) - cpu_begun
    if failures or not times:
        raise RuntimeError(f"only {len(times)} of {len(queries)} searches were answered: {failures[:1]}")
    ordered = sorted(times)
    p95 = ordered[int(0.95 * len(ordered))]
    return Load(
        clients,
        len(times),
        len(times) / seconds,
        statistics.median(ordered),
        p95,
        spent_s * 1000 / len(times),
    )


def cpu_s(pid: int | None = None) -> float:
    """Seconds that the processor has spent on a process (of Linux), by default this one, since it began."""
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int | None = None) -> float:
    """Memory of a process (of Linux), by default this one, that is resident now."""
    pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def folder_mib(folder: Path) -> float:
    """Size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
