"""The tables of docs/performance.md, "Reranker and reader": `make bench-models DATA=folder`.

Everything is measured on report parts; the weight of the relevance and the reader's threshold come from choose parts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from eval.bench.reading import (
    RANKING_SETS,
    Comparison,
    ReaderScore,
    compare,
    gold_readings,
    ranking_cases,
    reader_score,
    relevances,
)
from eval.public_sets import load_part
from ingest.models import JointReader, ModelRuntime, Reading, SentenceTransformerEncoder

_ADAPTER = Path(__file__).resolve().parents[2] / "data" / "models" / "minilm-reader"
_BASE = "all-MiniLM-L6-v2"
RELEVANCE_WEIGHT = 0.1
"""Of a logit of relevance against the whole range of the fused score: the best of five on the choose parts."""

_TIMED_PAIRS = 16
_CHUNK = "The harbour board keeps a register of vessels that call at the pier, with their draught and their cargo. " * 8


def ranking_table(data: Path, reader: JointReader, runtime: ModelRuntime, *, questions: int) -> list[Comparison]:
    """Reranked against fused on the report part of every set."""
    encoder = SentenceTransformerEncoder(_BASE)
    rows = []
    for name in RANKING_SETS:
        cases = ranking_cases(data, name, encoder, runtime, questions=questions, seed=3)
        scores = relevances(cases, reader, runtime)
        rows.append(compare(name, cases, scores, lambda relevance, fused: fused + RELEVANCE_WEIGHT * relevance))
    return rows


def reader_table(
    data: Path, reader: JointReader, runtime: ModelRuntime, *, questions: int
) -> tuple[float, ReaderScore]:
    """The threshold with the best F1 on the choose part of SQuAD, and the score with it on the report part."""
    fitted = gold_readings(load_part(data / "squad2_dev_a", "choose"), reader, runtime, questions=questions, seed=1)
    tried = np.quantile([confidence(reading) for _, _, reading in fitted], np.linspace(0.02, 0.98, 49))
    best = max(tried, key=lambda bound: reader_score(fitted, lambda reading: confidence(reading) > bound).f1)
    rows = gold_readings(load_part(data / "squad2_dev_a", "report"), reader, runtime, questions=questions, seed=1)
    return float(best), reader_score(rows, lambda reading: confidence(reading) > best)


def confidence(reading: Reading) -> float:
    """Log-odds of the best span, less the logit that there is no answer: both heads have a say."""
    return (reading.spans[0].score if reading.spans else -100.0) - reading.no_answer


def speed_table() -> list[tuple[str, int, float]]:
    """Number format, threads, and the median milliseconds of one call over 16 pairs of about 160 tokens."""
    pairs = [("how deep may a vessel be that calls at the pier", _CHUNK)] * _TIMED_PAIRS
    rows = []
    for dtype in ("float32", "bfloat16"):
        reader = JointReader.load(_ADAPTER, dtype=dtype)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rows.append((dtype, threads, _median_ms(reader, pairs)))
    return rows


def _median_ms(reader: JointReader, pairs: Sequence[tuple[str, str]]) -> float:
    times = []
    for _ in range(6):
        begun = time.perf_counter()
        reader.read(pairs)
        times.append((time.perf_counter() - begun) * 1000)
    return float(np.median(times[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedded reranker and reader.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--adapter", type=Path, default=_ADAPTER, help="adapter folder; default the shipped one")
    parser.add_argument("--questions", type=int, default=0, help="questions of each set; 0 takes all")
    arguments = parser.parse_args()
    reader, runtime = JointReader.load(arguments.adapter), ModelRuntime()
    print("| set | measure | questions | fused | reranked | difference (95 %) |\n|---|---|---|---|---|---|")
    for row in ranking_table(arguments.data, reader, runtime, questions=arguments.questions):
        change = f"{row.reranked - row.fused:+.4f} [{row.low:+.4f}, {row.high:+.4f}]"
        print(f"| {row.name} | {row.measure} | {row.questions} | {row.fused:.4f} | {row.reranked:.4f} | {change} |")
    threshold, score = reader_table(arguments.data, reader, runtime, questions=arguments.questions)
    print(f"\nreader, threshold {threshold:.2f}: {score}\n")
    for dtype, threads, milliseconds in speed_table():
        print(f"{_TIMED_PAIRS} pairs, {dtype}, {threads} threads: {milliseconds:.0f} ms")
    runtime.close()


if __name__ == "__main__":
    main()
