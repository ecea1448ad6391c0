"""Lexical index at size: `python -m eval.bench.index_lexical --data DIR --sizes 50000,1000000`. Prints JSON lines.

Each size: time of a query (real questions, 10 and 100 candidates; `cpu`: what the processor spent on it, whatever else
ran), with half and with a hundredth of the documents
allowed, time until one more document is found, build time, bytes on disk. At 50,000 chunks rank_bm25 is measured in
the same run. Chunks are mixed from real ones (`eval.bench.index_data.synthetic_terms`); each is a version of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi

from eval.bench.index_data import load_texts, synthetic_terms
from retrieve.analysis import analyse_document, analyse_query
from retrieve.lexical import LexicalDocument, LexicalIndex, LexicalSnapshot, open_lexical_index
from retrieve.restriction import Restriction

_BATCH = 20_000
_TIMED = 200
_REFERENCE_TIMED = 20
_REFERENCE_ROWS = 50_000
_ADDED = 5

Terms = Sequence[str]


def measure(real: Sequence[tuple[str, ...]], questions: Sequence[Terms], rows: int, folder: Path) -> dict[str, Any]:
    """Builds the index on disk, and measures it."""
    index = open_lexical_index("tantivy", directory=folder)
    begun = time.perf_counter()
    number = 0
    for batch in _batches(synthetic_terms(real, rows)):
        index.add([LexicalDocument(number + i, number + i, terms) for i, terms in enumerate(batch)])
        number += len(batch)
    snapshot = index.publish()
    build_s = time.perf_counter() - begun
    half, hundredth = (Restriction.of(range(0, rows, share)) for share in (2, 100))
    line = {
        "rows": rows,
        "build_s": round(build_s, 1),
        **_reference(real, questions, rows, snapshot),
        "p50_ms": _median_ms(snapshot, questions, 10),
        "p95_ms": _percentile_ms(snapshot, questions, 10, 95),
        "p50_cpu_ms": _percentile_ms(snapshot, questions, 10, 50, clock=time.thread_time),
        "p50_ms_top_100": _median_ms(snapshot, questions, 100),
        "filtered_half_ms": _median_ms(snapshot, questions[:_REFERENCE_TIMED], 10, half),
        "filtered_hundredth_ms": _median_ms(snapshot, questions[:_REFERENCE_TIMED], 10, hundredth),
        "one_more_s": _one_more(index, rows),
        "disk_mb": round(sum(path.stat().st_size for path in folder.iterdir()) / 2**20, 1),
    }
    index.close()
    return line


def _batches(chunks: Iterator[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    while batch := list(islice(chunks, _BATCH)):
        yield batch


def _reference(
    real: Sequence[tuple[str, ...]], questions: Sequence[Terms], rows: int, snapshot: LexicalSnapshot
) -> dict[str, float]:
    """rank_bm25 as it comes (all scores, then the ten best), its queries between those of the index; at 50,000 only."""
    if rows != _REFERENCE_ROWS:
        return {}
    reference = BM25Okapi(list(synthetic_terms(real, rows)))
    own_s, reference_s = [], []
    for question in questions[:_REFERENCE_TIMED]:
        begun = time.perf_counter()
        np.argpartition(-reference.get_scores(list(question)), 10)
        reference_s.append(time.perf_counter() - begun)
        own_s.append(_time(snapshot, question, 10, Restriction.EVERYTHING))
    ratio = statistics.mean(reference_s) / statistics.mean(own_s)
    return {"rank_bm25_ms": round(statistics.mean(reference_s) * 1000, 1), "times_faster": round(ratio, 1)}


def _one_more(index: LexicalIndex, rows: int) -> float:
    """Median seconds from adding one document to finding it."""
    times = []
    for number in range(rows, rows + _ADDED):
        begun = time.perf_counter()
        index.add([LexicalDocument(number, number, ("unmistakable", f"number{number}"))])
        found = index.publish().search([f"number{number}"], top_k=1)
        times.append(time.perf_counter() - begun)
        assert found.chunks.tolist() == [number]
    return round(statistics.median(times), 3)


def _time(
    snapshot: LexicalSnapshot,
    terms: Terms,
    top_k: int,
    restriction: Restriction,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    begun = clock()
    snapshot.search(terms, top_k=top_k, restriction=restriction)
    return clock() - begun


def _percentile_ms(
    snapshot: LexicalSnapshot,
    questions: Sequence[Terms],
    top_k: int,
    percent: float,
    restriction: Restriction = Restriction.EVERYTHING,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    times = [_time(snapshot, question, top_k, restriction, clock) for question in questions]
    return round(float(np.percentile(times, percent)) * 1000, 2)


def _median_ms(
    snapshot: LexicalSnapshot, questions: Sequence[Terms], top_k: int, restriction: Restriction = Restriction.EVERYTHING
) -> float:
    return _percentile_ms(snapshot, questions, top_k, 50, restriction)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the question sets")
    parser.add_argument("--sizes", default="1000,10000,50000,100000,1000000", help="chunks, between commas")
    arguments = parser.parse_args()
    real = load_texts(arguments.data)
    chunks = [tuple(analyse_document(text)) for text in real.texts]
    random = np.random.default_rng(0)
    asked = [analyse_query(real.questions[row]) for row in random.permutation(len(real.questions))[:_TIMED]]
    for rows in map(int, arguments.sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            sys.stdout.write(json.dumps(measure(chunks, asked, rows, Path(name))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
