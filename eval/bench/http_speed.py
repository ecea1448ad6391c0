"""Speed of searches over HTTP: `python -m eval.bench.http_speed --url URL --collection NAME --data DIR`.

Compares with the time of one query embedding alone, by sentence-transformers as it comes (`encode` in float32) and by
citewell's own encoder: the same model, in one thread of this process, one at a time between the searches, so that
whatever else runs on the machine slows all of them. Measures 1, 4, 16 and 64 clients. Every query is asked once, so no
cache answers. With `--pid` (of the service, on Linux) the processor time of a search, which other work on the machine
does not stretch, is the service's; otherwise the clients'. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import http
import json
import re
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import torch
from sentence_transformers import SentenceTransformer

from eval.bench.loads import Load, measure_load
from eval.retrieval_sets import fitting_sets, report_sets
from ingest.models import Encoder, SentenceTransformerEncoder
from ingest.models.profiles import profile_of

CLIENTS = (1, 4, 16, 64)
_WARM_UP = 20
_MODEL = "all-MiniLM-L6-v2"
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


@dataclass(frozen=True, slots=True)
class Alone:
    """One query embedded by itself: milliseconds, and those of the processor (mean)."""

    p50_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Speed:
    """The figures of one run."""

    library: Alone
    encoder: Alone
    search_p50_ms: float
    cached_p50_ms: float
    loads: tuple[Load, ...]

    @property
    def search_to_embedding(self) -> float:
        """How many times as long as an embedding alone, by sentence-transformers, a search takes."""
        return self.search_p50_ms / self.library.p50_ms

    @property
    def search_to_own_embedding(self) -> float:
        """The same, of citewell's encoder."""
        return self.search_p50_ms / self.encoder.p50_ms


class _Clock:
    """Times calls of one function."""

    def __init__(self, run: Callable[[str], object]) -> None:
        self._run = run
        self._times: list[float] = []
        self._cpu_s = 0.0

    def __call__(self, query: str) -> None:
        begun, cpu_begun = time.perf_counter(), time.process_time()
        self._run(query)
        self._times.append((time.perf_counter() - begun) * 1000)
        self._cpu_s += time.process_time() - cpu_begun

    def alone(self) -> Alone:
        return Alone(statistics.median(self._times), self._cpu_s * 1000 / len(self._times))


class SearchClient:
    """One kept-alive connection to the service. `search` returns the milliseconds of a search.

    It writes requests and reads replies by itself, the same way for any number of clients, so that more of the cores
    is the service's: 0.16 ms of the processor a search, 0.10 of 16 clients, where `http.client` takes 0.37 and 0.21.
    """

    def __init__(self, url: str, collection: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname or "127.0.0.1", address.port or 80), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /v1/collections/{collection}/search HTTP/1.1\r\nHost: {address.netloc}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def search(self, query: str) -> float:
        """Raises `RuntimeError` unless the search was answered."""
        body = json.dumps({"query": query, "rerank": False}).encode()
        begun = time.perf_counter()
        self._socket.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        status, content = self._reply()
        if status != http.HTTPStatus.OK:
            raise RuntimeError(f"a search was answered {status}: {content[:500]!r}")
        return (time.perf_counter() - begun) * 1000

    def close(self) -> None:
        self._socket.close()

    def _reply(self) -> tuple[int, bytes]:
        """Status and body of a reply that declares its length, as those of the service do."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._received()
        head, _, content = received.partition(b"\r\n\r\n")
        declared = _LENGTH.search(head)
        if declared is None:
            raise RuntimeError(f"a reply does not tell its length: {head[:500]!r}")
        while len(content) < int(declared[1]):
            content += self._received()
        return int(head.split(b" ", 2)[1]), content

    def _received(self) -> bytes:
        block = self._socket.recv(1 << 18)
        if not block:
            raise RuntimeError("the service closed the connection")
        return block


def measure_speed(
    url: str,
    collection: str,
    queries: Iterator[str],
    library: Callable[[str], object],
    encoder: Encoder,
    *,
    searches: int,
    clients: Sequence[int],
    pid: int | None = None,
) -> Speed:
    """`searches` searches a number of clients; takes a new query from `queries` each time.

    `library` embeds a query by other means than `encoder`.
    """
    client = SearchClient(url, collection)

    def embed(query: str) -> object:
        return encoder.encode([query], "query", fast=True)

    for query in islice(queries, _WARM_UP):
        library(query)
        embed(query)
        client.search(query)
    by_library, by_encoder = _Clock(library), _Clock(embed)
    alone, again = [], []
    for query in islice(queries, searches):
        by_library(query)
        by_encoder(query)
        alone.append(client.search(query))
        again.append(client.search(query))
    client.close()
    loads = tuple(
        measure_load(lambda: SearchClient(url, collection).search, list(islice(queries, searches)), clients=n, pid=pid)
        for n in clients
    )
    return Speed(
        by_library.alone(),
        by_encoder.alone(),
        statistics.median(alone),
        statistics.median(again),
        loads,
    )


def english_queries(data: Path) -> Iterator[str]:
    """Distinct questions of the public sets that a Latin-script embedder reads."""
    sets = [*fitting_sets(data), *report_sets(data)]
    texts = dict.fromkeys(question.text for one in sets for question in one.questions if question.text.isascii())
    return iter(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure searches of a running service over HTTP.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--collection", default="bench")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--searches", type=int, default=500, help="searches a number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--pid", type=int, help="process of the service")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = SentenceTransformer(profile_of(_MODEL).source, device="cpu")
    speed = measure_speed(
        arguments.url,
        arguments.collection,
        english_queries(arguments.data),
        lambda query: model.encode([query], show_progress_bar=False),
        SentenceTransformerEncoder(_MODEL),
        searches=arguments.searches,
        clients=arguments.clients,
        pid=arguments.pid,
    )
    ratios = {name: getattr(speed, name) for name in ("search_to_embedding", "search_to_own_embedding")}
    report = {**asdict(speed), **ratios}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
