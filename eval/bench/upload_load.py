"""Searching while others upload: `python -m eval.bench.upload_load --url URL [--searches 200] [--no-rerank]`.

Some clients search a running service, first alone and then while as many others upload small files one after the other.
Each part lasts so many seconds, and until so many searches have been answered. Prints one JSON object: the 50th and
95th percentile of a search's time in both parts, the latter with its 95 % interval (of order statistics, as if searches
were independent), what was uploaded, and every status but success with its number; a 429 must bring `Retry-After`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from scipy.stats import binom

_COLLECTION = "upload-load-bench"
_SEEDED = 200
_LOOK_S = 0.1
_PATIENCE_S = 300.0
_WORDS = ["ferry", "harbour", "winter", "fare", "dog", "bicycle", "island", "captain", "timetable", "battery", "crew"]


@dataclass(slots=True)
class _Tally:
    """What the clients of one part saw. Lists and counters are appended to under the interpreter's lock."""

    search_ms: list[float] = field(default_factory=list)
    uploaded: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, response: httpx.Response) -> None:
        if response.status_code == 429 and "Retry-After" not in response.headers:
            self.statuses[f"{what} 429 without Retry-After"] += 1
        elif not response.is_success:
            self.statuses[f"{what} {response.status_code}"] += 1


def measure(url: str, *, clients: int, seconds: float, searches: int, rerank: bool) -> dict[str, Any]:
    """Both parts, one after the other."""
    with httpx.Client(base_url=url, timeout=120) as client:
        client.put(f"/v1/collections/{_COLLECTION}", json={}).raise_for_status()
        _seed(client)
    alone, loaded = (
        _run(url, rerank, searchers=clients, uploaders=uploaders, seconds=seconds, searches=searches)
        for uploaders in (0, clients)
    )
    return {
        "clients": clients,
        "rerank": rerank,
        "seconds": seconds,
        "alone": _report(alone),
        "while others upload": {**_report(loaded), "files_uploaded": loaded.uploaded},
    }


def _run(url: str, rerank: bool, *, searchers: int, uploaders: int, seconds: float, searches: int) -> _Tally:
    tally, ended = _Tally(), threading.Event()
    threads = [
        threading.Thread(target=_search, args=(url, rerank, number, ended, tally)) for number in range(searchers)
    ]
    threads += [threading.Thread(target=_upload, args=(url, number, ended, tally)) for number in range(uploaders)]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    give_up = time.monotonic() + _PATIENCE_S
    while len(tally.search_ms) < searches and time.monotonic() < give_up:
        time.sleep(_LOOK_S)
    ended.set()
    for thread in threads:
        thread.join()
    return tally


def _search(url: str, rerank: bool, number: int, ended: threading.Event, tally: _Tally) -> None:
    chance = random.Random(number)  # noqa: S311 - chance, not secrets
    with httpx.Client(base_url=url, timeout=120) as client:
        while not ended.is_set():
            body = {"query": _text(chance, 1), "top_k": 10, "rerank": rerank}
            begun = time.perf_counter()
            response = client.post(f"/v1/collections/{_COLLECTION}/search", json=body)
            if response.is_success:
                tally.search_ms.append((time.perf_counter() - begun) * 1000)
            tally.note("search", response)


def _upload(url: str, number: int, ended: threading.Event, tally: _Tally) -> None:
    chance = random.Random(1000 + number)  # noqa: S311 - chance, not secrets
    count = 0
    with httpx.Client(base_url=url, timeout=120) as client:
        while not ended.is_set():
            count += 1
            files = {"files": (f"{number}/{count % 50}.txt", _text(chance, 40).encode())}
            response = client.post(f"/v1/collections/{_COLLECTION}/documents", files=files)
            tally.uploaded += response.is_success
            tally.note("upload", response)
            if response.status_code == 429:
                ended.wait(float(response.headers.get("Retry-After", 1)))


def _seed(client: httpx.Client) -> None:
    chance = random.Random(0)  # noqa: S311 - chance, not secrets
    lines = "\n".join(json.dumps({"id": f"seed-{number}", "text": _text(chance, 20)}) for number in range(_SEEDED))
    reply = client.post(f"/v1/collections/{_COLLECTION}/documents", files={"files": ("seed.jsonl", lines.encode())})
    job_id = reply.raise_for_status().json()["job_id"]
    while client.get(f"/v1/jobs/{job_id}").json()["state"] in ("queued", "running"):
        time.sleep(0.2)


def _text(chance: random.Random, sentences: int) -> str:
    return " ".join(
        f"The {chance.choice(_WORDS)} waits for the {chance.choice(_WORDS)} number {chance.randint(0, 9999)}."
        for _ in range(sentences)
    )


def _report(tally: _Tally) -> dict[str, Any]:
    times = np.sort(tally.search_ms)
    around = binom.ppf([0.025, 0.975], len(times), 0.95).astype(int).clip(0, len(times) - 1)
    return {
        "searches": len(times),
        "p50_ms": round(float(np.percentile(times, 50)), 1),
        "p95_ms": round(float(np.percentile(times, 95)), 1),
        "p95_interval_ms": [round(float(time), 1) for time in times[around]],
        "not_successful": dict(tally.statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure searches while others upload.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--searches", type=int, default=200, help="least searches of a part")
    parser.add_argument("--no-rerank", action="store_true", help="search without the reranker")
    arguments = parser.parse_args()
    report = measure(
        arguments.url,
        clients=arguments.clients,
        seconds=arguments.seconds,
        searches=arguments.searches,
        rerank=not arguments.no_rerank,
    )
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
