"""Speed beside other libraries: `python -m api.bench.speed --data DIR --peers PYTHON`.

The same passages, questions and model for all, one system after the other in processes of their own: documents ingested
a second, searches a second and their latency at 1, 4, 16 and 64 clients, memory, size on disk, and time to build the
index. Peers run in process, as they are meant to; citewell in process and over HTTP, without reranker. BM25 alone is
compared at more passages, mixed from real ones. Memory is what the process grew by: citewell's while it ingested, the
peers' while they built an index of vectors that were known. Prints one JSON object a system and size; `--markdown` and
`--plot` write what docs/performance.md shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from api.bootstrap import DEFAULT_COLLECTION, Service, open_service
from api.settings import Settings
from eval.bench import peer_speed
from eval.bench.http_speed import SearchClient, english_queries
from eval.bench.loads import folder_mib, measure_load, resident_mib
from eval.bench.service import served
from eval.bench.speed_report import Row, markdown_table, plot
from eval.offline_collection import EmbeddingCache
from eval.retrieval_sets import fitting_sets, report_sets
from ingest.documents import Upload
from ingest.jobs import TERMINAL_STATES
from ingest.models import SentenceTransformerEncoder
from ingest.parsing.media_types import CORPUS_JSONL
from retrieve import Access, Query
from retrieve.analysis import analyse_document, analyse_query
from retrieve.lexical import LexicalDocument, open_lexical_index

_MODEL = "all-MiniLM-L6-v2"
_SETTINGS: dict[str, Any] = {"corroboration_statements": 0, "reranker_model": "", "generator": "extractive"}
"""Search without reranker; what would run in the background beside it is off."""

_WARM_UP = 20


def english_passages(data: Path, count: int) -> dict[str, str]:
    """The first passages of the public sets that are in English, by a number."""
    sets = [*fitting_sets(data), *report_sets(data)]
    texts = dict.fromkeys(one.text for part in sets for one in part.passages if one.text.isascii() and one.text.strip())
    return {f"p{number}": text for number, text in enumerate(islice(texts, count))}


def mixed(passages: Sequence[str], count: int, *, seed: int = 1) -> dict[str, str]:
    """`count` passages: the first half of one, then the second half of another."""
    pairs = np.random.default_rng(seed).integers(0, len(passages), (count, 2)).tolist()
    halves = ((passages[one], passages[other]) for one, other in pairs)
    return {
        f"p{number}": f"{one[: len(one) // 2]} {other[len(other) // 2 :]}" for number, (one, other) in enumerate(halves)
    }


def write_task(folder: Path, passages: Mapping[str, str], questions: Sequence[str], cache: EmbeddingCache) -> None:
    """What `eval.bench.peers.Task` reads; without vectors of questions, which every search embeds itself."""
    folder.mkdir(parents=True, exist_ok=True)
    vectors = cache.vectors("speed", list(passages.values()), "document")
    np.savez(folder / "vectors.npz", passages=vectors, questions=np.empty((0, vectors.shape[1]), np.float32))
    asked = {str(number): question for number, question in enumerate(questions)}
    (folder / "task.json").write_text(json.dumps({"passages": passages, "questions": asked}), encoding="utf-8")


def in_process(passages: Mapping[str, str], data: Path, queries: Iterator[str], arguments: argparse.Namespace) -> Row:
    """citewell's searcher in this process, on a data directory that it fills."""
    with open_service(Settings(**{**_SETTINGS, "data_dir": data})) as service:
        before = resident_mib()
        begun = time.perf_counter()
        _ingest(service, passages)
        row: Row = {"system": "citewell", "passages": len(passages)}
        row["documents_per_second"] = len(passages) / (time.perf_counter() - begun)
        row["memory_mib"] = resident_mib() - before
        collection = service.collections.get(DEFAULT_COLLECTION)

        def search(query: str) -> object:
            return service.searcher.search(
                Query(query, rerank=False),
                collection_pk=collection.pk,
                generation=collection.live_generation,
                access=Access.everything(),
            )

        for query in islice(queries, _WARM_UP):
            search(query)
        row["loads"] = [
            asdict(
                measure_load(
                    lambda: search,
                    list(islice(queries, arguments.searches)),
                    clients=clients,
                    within_s=arguments.seconds,
                )
            )
            for clients in arguments.clients
        ]
    row["disk_mib"] = folder_mib(data)
    return row


def over_http(passages: int, data: Path, queries: Iterator[str], arguments: argparse.Namespace) -> Row:
    """The same data directory, served in a process of its own."""
    variables = {f"CITEWELL_{name.upper()}": str(value) for name, value in _SETTINGS.items()}
    with served(data, samples=False, **variables) as client:
        url, pid = str(client.base_url), int(json.loads((data / "owner.json").read_text())["pid"])

        def connect() -> Any:
            return SearchClient(url, DEFAULT_COLLECTION).search

        warm = connect()
        for query in islice(queries, _WARM_UP):
            warm(query)
        loads = [
            asdict(
                measure_load(
                    connect,
                    list(islice(queries, arguments.searches)),
                    clients=clients,
                    pid=pid,
                    within_s=arguments.seconds,
                )
            )
            for clients in arguments.clients
        ]
        return {"system": "citewell over HTTP", "passages": passages, "loads": loads}


def words_alone(passages: Mapping[str, str], queries: Iterator[str], arguments: argparse.Namespace) -> Row:
    """citewell's lexical index on disk, analysis of passages and questions included."""
    with tempfile.TemporaryDirectory() as name:
        before, begun = resident_mib(), time.perf_counter()
        index = open_lexical_index("tantivy", directory=Path(name))
        index.add(
            [
                LexicalDocument(number, number, tuple(analyse_document(text)))
                for number, text in enumerate(passages.values())
            ]
        )
        snapshot = index.publish()
        row: Row = {"system": "citewell, words", "passages": len(passages), "build_s": time.perf_counter() - begun}
        row["memory_mib"] = resident_mib() - before
        row["disk_mib"] = folder_mib(Path(name))

        def search(query: str) -> object:
            return snapshot.search(analyse_query(query), top_k=10)

        row["loads"] = [
            asdict(
                measure_load(
                    lambda: search,
                    list(islice(queries, arguments.searches)),
                    clients=clients,
                    within_s=arguments.seconds,
                )
            )
            for clients in arguments.clients
        ]
        index.close()
    return row


def peer(system: str, task: Path, passages: int, arguments: argparse.Namespace) -> Row | None:
    """A row by `eval.bench.peer_speed`; one that fails is named on stderr and left out."""
    out = task / f"{system}.json"
    command = [arguments.peers, "-m", peer_speed.__name__, str(task), str(out), "--system", system]
    command += ["--passages", str(passages), "--searches", str(arguments.searches)]
    command += ["--ingested", str(arguments.ingested), "--seconds", str(arguments.seconds)]
    command += ["--clients", *map(str, arguments.clients)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - asked for
    if done.returncode:
        sys.stderr.write(f"{system} failed at {passages} passages: {done.stderr[-2000:]}\n")
        return None
    row: Row = json.loads(out.read_text(encoding="utf-8"))
    return row


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """Every system at every size, as they come."""
    sizes: list[int] = arguments.sizes
    passages = english_passages(arguments.data, max(sizes))
    cache = EmbeddingCache(arguments.work, SentenceTransformerEncoder(_MODEL))
    questions = list(english_queries(arguments.data))[: _WARM_UP + arguments.searches * len(arguments.clients)]
    task = arguments.work / "speed"
    write_task(task, passages, questions, cache)
    for size in sizes:
        some = dict(list(passages.items())[:size])
        with tempfile.TemporaryDirectory() as name:
            yield in_process(some, Path(name), iter(questions), arguments)
            yield over_http(size, Path(name), iter(questions), arguments)
        for system in peer_speed.HYBRIDS if arguments.peers else ():
            if row := peer(system, task, size, arguments):
                yield row
    many = mixed(list(passages.values()), arguments.words)
    yield words_alone(many, iter(questions), arguments)
    if arguments.peers:
        text = json.dumps({"passages": many, "questions": dict(enumerate(questions))})
        (task / "task.json").write_text(text, encoding="utf-8")
        np.savez(task / "vectors.npz", passages=np.empty((len(many), 0), np.float32), questions=np.empty((0, 0)))
        for system in peer_speed.LEXICAL:
            if row := peer(system, task, len(many), arguments):
                yield row


def _ingest(service: Service, passages: Mapping[str, str]) -> None:
    """As one corpus file; returns when all of it can be searched."""
    lines = "".join(json.dumps({"id": key, "text": text}) + "\n" for key, text in passages.items())
    with tempfile.TemporaryFile() as stream:
        stream.write(lines.encode())
        stream.seek(0)
        blob = service.blobs.put(stream, max_bytes=service.settings.upload_max_bytes)
    upload = Upload(document_id="corpus.jsonl", filename="corpus.jsonl", media_type=CORPUS_JSONL, blob=blob)
    collection = service.collections.get(DEFAULT_COLLECTION)
    job = service.documents.submit(collection, [upload], key_id=None).job_id
    service.runner.notify()
    while service.jobs.get(job).state not in TERMINAL_STATES:
        time.sleep(0.05)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--peers", help="Python of the environment of eval/bench/peers.txt; without it citewell alone")
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="where vectors are kept between runs")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], help="passages of hybrid search")
    parser.add_argument("--words", type=int, default=50_000, help="passages of BM25 alone")
    parser.add_argument("--ingested", type=int, default=300, help="passages that peers embed to time ingestion")
    parser.add_argument("--searches", type=int, default=100, help="searches a number of clients")
    parser.add_argument("--seconds", type=float, default=15, help="longest time of a number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    parser.add_argument("--plot", type=Path, help="SVG file for the plot")
    arguments = parser.parse_args()
    found = []
    for row in rows(arguments):
        found.append(row)
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
    if arguments.markdown:
        arguments.markdown.write_text(markdown_table(found), encoding="utf-8")
    if arguments.plot:
        arguments.plot.write_text(plot(found), encoding="utf-8")


if __name__ == "__main__":
    main()
