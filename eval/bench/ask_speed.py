"""Speed of questions over HTTP: `python -m eval.bench.ask_speed --url URL --data DIR`.

Fills a collection with chunks of public sets (10,000 by default), then asks each question once, so that no cache
answers: one client, then eight, then one while another collection is being filled. Reports the times of the stages as
the answers tell them. Prints one JSON object; where the machine is shared, only the ratios mean something.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from eval.bench.acceptance import Service
from eval.public_sets import load_part

_FILL = ("squad2_dev_a", "qed_nq_train", "fairytaleqa_train", "qed_nq_dev")
_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Load:
    """What so many clients, each with one question under way, got; milliseconds, and the median of each stage."""

    clients: int
    questions: int
    per_second: float
    p50_ms: float
    p95_ms: float
    stages_p50_ms: Mapping[str, float]


def measure_load(url: str, collection: str, questions: Sequence[str], *, clients: int) -> Load:
    """Shares the questions out among the clients; the clock runs from the first request to the last reply."""
    pending, lock = iter(questions), threading.Lock()
    replies: list[tuple[float, Mapping[str, float]]] = []

    def work() -> None:
        service = Service(url)
        while True:
            with lock:
                question = next(pending, None)
            if question is None:
                return
            begun = time.perf_counter()
            reply = service.post(f"/v1/collections/{collection}/ask", {"question": question})
            replies.append(((time.perf_counter() - begun) * 1000, reply["timings_ms"]))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if len(replies) < len(questions):
        raise RuntimeError(f"only {len(replies)} of {len(questions)} questions were answered; see the service's log")
    times = sorted(taken for taken, _ in replies)
    return Load(
        clients,
        len(times),
        round(len(times) / seconds, 2),
        round(statistics.median(times), 1),
        round(times[int(0.95 * (len(times) - 1))], 1),
        _stages([stages for _, stages in replies]),
    )


def _stages(timings: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for stages in timings for name in stages)
    return {name: round(statistics.median([s[name] for s in timings if name in s]), 1) for name in names}


def fill(service: Service, name: str, data: Path, *, chunks: int) -> int:
    """Uploads paragraphs until the collection has about so many chunks; returns how many it has."""
    service.new_collection(name)
    paragraphs = _paragraphs(data)
    while service.chunks(name) < chunks:
        batch = list(islice(paragraphs, max(200, chunks - service.chunks(name))))
        if not batch:
            break
        service.finish(service.upload(name, _corpus(batch))["job_id"])
    return service.chunks(name)


def measure_during_ingest(service: Service, url: str, collection: str, data: Path, questions: Sequence[str]) -> Load:
    """One client, while a bulk load of other documents is under way."""
    name = f"{collection}-bulk"
    service.new_collection(name)
    job = service.upload(name, _corpus(list(islice(_paragraphs(data), 5_000))))["job_id"]
    load = measure_load(url, collection, questions, clients=1)
    service.cancel(job)
    return load


def _paragraphs(data: Path) -> Iterator[str]:
    """Lines of corpora, each under an id of its own set."""
    for name in _FILL:
        with gzip.open(data / name / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            yield from lines


def _corpus(lines: Sequence[str]) -> Path:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False, encoding="utf-8") as file:
        file.writelines(lines)
    return Path(file.name)


def _questions(data: Path, seed: int) -> Iterator[str]:
    """Questions of the report part of SQuAD and of web searches, mixed."""
    texts = [q.question for name in ("squad2_dev_a", "qed_nq_dev") for q in load_part(data / name, "report").questions]
    random.Random(seed).shuffle(texts)  # noqa: S311 - not a secret
    return iter(dict.fromkeys(texts))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of questions to a running service.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--collection", default="ask-speed")
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=100, help="questions a load")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    service = Service(options.url)
    chunks = fill(service, options.collection, options.data, chunks=options.chunks)
    asked = _questions(options.data, options.seed)
    measure_load(options.url, options.collection, list(islice(asked, _WARM_UP)), clients=1)
    one, eight = (
        measure_load(options.url, options.collection, list(islice(asked, options.questions)), clients=clients)
        for clients in (1, 8)
    )
    busy = measure_during_ingest(
        service, options.url, options.collection, options.data, list(islice(asked, options.questions))
    )
    report: dict[str, Any] = {
        "chunks": chunks,
        "one client": asdict(one),
        "eight clients": asdict(eight),
        "throughput_ratio": round(eight.per_second / one.per_second, 2),
        "p95_of_eight_to_p50_of_one": round(eight.p95_ms / one.p50_ms, 2),
        "one client during a bulk load": asdict(busy),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
