"""Vector index at size: `python -m eval.bench.index_vectors --data DIR --sizes 10000,100000`. Prints JSON lines.

Each size: recall@10 of real questions against exact search, time of a query beside an exact one in the same run, build
time, bytes on disk, and the memory of a fresh process that reads the stored index. The first line is over all real
chunks, the others over vectors made around them (`eval.bench.index_data`), with the quantiles of how near the first and
the tenth neighbour are, to compare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.index_data import Nearest, load_real, quantiles, synthetic_vectors
from ingest.models import FloatArray
from retrieve.restriction import Restriction
from retrieve.storage import FileStore
from retrieve.vector import VectorSnapshot, open_vector_index

TOP_K = 10
_QUESTIONS = 500
_TIMED = 200
_EXACT_TIMED = 20


def measure(slices: Iterable[FloatArray], questions: FloatArray, engine: str, folder: Path) -> dict[str, Any]:
    """Builds the index of all slices, as an import would, and measures it."""
    truth = Nearest(questions, TOP_K)
    index = open_vector_index(engine, dim=questions.shape[1])
    count = 0
    for vectors in slices:
        chunks = np.arange(count, count + len(vectors))
        index.add(chunks, chunks, vectors)
        exact = index.publish()
        truth.add(vectors)
        count += len(vectors)
    begun = time.perf_counter()
    while index.maintain():
        index.publish()
    build_s = time.perf_counter() - begun
    snapshot = index.publish()
    times = _times(snapshot, exact, questions)
    files = FileStore(folder)
    (folder / "state.json").write_text(json.dumps(snapshot.save(files)))
    np.save(folder / "questions.npy", questions)
    return {
        "rows": count,
        "recall@10": _recall(snapshot, questions, truth, Restriction.EVERYTHING),
        **times,
        "build_s": round(build_s, 1),
        "disk_mb": round(sum(path.stat().st_size for path in folder.iterdir()) / 2**20, 1),
        "similarity_first": quantiles(truth.scores[:, 0]),
        "similarity_tenth": quantiles(truth.scores[:, -1]),
        "filtered_half_ms": _filtered(snapshot, questions, count, 2),
        "filtered_hundredth_ms": _filtered(snapshot, questions, count, 100),
    }


def _recall(snapshot: VectorSnapshot, questions: FloatArray, truth: Nearest, restriction: Restriction) -> float:
    found = [
        len(set(snapshot.search(question, top_k=TOP_K, restriction=restriction).chunks.tolist()) & set(rows.tolist()))
        for question, rows in zip(questions, truth.rows, strict=True)
    ]
    return round(sum(found) / (TOP_K * len(found)), 4)


def _times(snapshot: VectorSnapshot, exact: VectorSnapshot, questions: FloatArray) -> dict[str, float]:
    """Milliseconds a query, one thread, exact ones between the others: whatever else runs slows both."""
    exact_s, found_s = [], []
    for number, question in enumerate(questions[:_TIMED]):
        if number % (_TIMED // _EXACT_TIMED) == 0:
            exact_s.append(_time(exact, question, TOP_K))
        found_s.append(_time(snapshot, question, TOP_K))
    hundred_s = [_time(snapshot, question, 100) for question in questions[:_TIMED]]
    exact_ms, found_ms, hundred_ms = (statistics.median(one) * 1000 for one in (exact_s, found_s, hundred_s))
    return {
        "exact_ms": round(exact_ms, 3),
        "p50_ms": round(found_ms, 3),
        "p50_ms_top_100": round(hundred_ms, 3),
        "times_faster": round(exact_ms / found_ms, 1),
        "times_faster_mean": round(statistics.mean(exact_s) / statistics.mean(found_s), 1),
    }


def _time(snapshot: VectorSnapshot, question: FloatArray, top_k: int, **limits: Any) -> float:
    begun = time.perf_counter()
    snapshot.search(question, top_k=top_k, **limits)
    return time.perf_counter() - begun


def _filtered(snapshot: VectorSnapshot, questions: FloatArray, count: int, share: int) -> float:
    """Median milliseconds with one row in `share` allowed, each row a document version of its own."""
    restriction = Restriction.of(range(0, count, share))
    times = [_time(snapshot, question, TOP_K, restriction=restriction) for question in questions[:_EXACT_TIMED]]
    return round(statistics.median(times) * 1000, 2)


def measure_memory(folder: Path, engine: str) -> dict[str, float]:
    """MiB that restoring the stored index and asking all questions adds to this (fresh) process."""
    questions = np.load(folder / "questions.npy")
    before = _resident()
    index = open_vector_index(engine, dim=questions.shape[1])
    index.restore(json.loads((folder / "state.json").read_text()), FileStore(folder))
    snapshot = index.publish()
    for question in questions:
        snapshot.search(question, top_k=TOP_K)
    after = _resident()
    return {f"memory_{kind}_mb": round((after[kind] - before[kind]) / 1024, 1) for kind in after}


def _resident() -> dict[str, int]:
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    names = {"total": "VmRSS", "anonymous": "RssAnon", "mapped": "RssFile"}
    return {kind: int(fields[name].split()[0]) for kind, name in names.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the question sets")
    parser.add_argument("--cache", type=Path, default=Path(".bench"), help="where embeddings are kept between runs")
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="rows, between commas; 0: real chunks")
    parser.add_argument("--engine", default="faiss")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of is not None:
        sys.stdout.write(json.dumps(measure_memory(arguments.memory_of, arguments.engine)))
        return
    real = load_real(arguments.data, arguments.cache)
    random = np.random.default_rng(0)
    asked = real.question_vectors[random.permutation(len(real.question_vectors))[:_QUESTIONS]]
    for size in map(int, arguments.sizes.split(",")):
        slices = synthetic_vectors(real.vectors, size) if size else iter([real.vectors])
        with tempfile.TemporaryDirectory() as name:
            line = measure(slices, asked, arguments.engine, Path(name))
            own = [sys.executable, "-m", "eval.bench.index_vectors", "--memory-of", name, "--engine", arguments.engine]
            fresh = subprocess.run(own, check=True, capture_output=True, text=True)  # noqa: S603 - this very module
            line |= json.loads(fresh.stdout)
        sys.stdout.write(json.dumps({"vectors": "real" if size == 0 else "synthetic", **line}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
