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
    GoldAnswer,
    ReaderScore,
    best_threshold,
    compare,
    gold_answers,
    gold_readings,
    ranking_cases,
    reader_score,
    relevances,
)
from eval.fit_reading import reading_assessor
from eval.public_sets import SetPart, load_part
from generate.reading import ReadingWeights
from ingest.models import JointReader, ModelRuntime, SentenceTransformerEncoder

_WEIGHTS = Path(__file__).resolve().parents[2] / "data" / "models"
_ADAPTER = _WEIGHTS / "minilm-reader"
BASE = "all-MiniLM-L6-v2"
RELEVANCE_WEIGHT = 0.1
"""Of a logit of relevance against the whole range of the fused score: the best of five on the choose parts."""

_TIMED_PAIRS = 16
_CHUNK = "The harbour board keeps a register of vessels that call at the pier, with their draught and their cargo. " * 8


def ranking_table(data: Path, reader: JointReader, runtime: ModelRuntime, *, questions: int) -> list[Comparison]:
    """Reranked against fused on the report part of every set."""
    encoder = SentenceTransformerEncoder(BASE)
    rows = []
    for name in RANKING_SETS:
        cases = ranking_cases(data, name, encoder, runtime, questions=questions, seed=3)
        scores = relevances(cases, reader, runtime)
        rows.append(compare(name, cases, scores, lambda relevance, fused: fused + RELEVANCE_WEIGHT * relevance))
    return rows


def reader_table(
    data: Path, reader: JointReader, runtime: ModelRuntime, *, questions: int
) -> dict[str, tuple[float, ReaderScore]]:
    """For the model alone, and with all that judges an answer: the threshold with the best F1 on the choose part of
    SQuAD, and the score with it on the report part.
    """
    encoder = SentenceTransformerEncoder(BASE)
    assessor = reading_assessor(reader, encoder, runtime, ReadingWeights.load(_WEIGHTS / "reading.json"))
    choose, report = (load_part(data / "squad2_dev_a", part) for part in ("choose", "report"))

    def alone(part: SetPart) -> list[GoldAnswer]:
        return gold_readings(part, reader, runtime, questions=questions, seed=1)

    def judged(part: SetPart) -> list[GoldAnswer]:
        return gold_answers(part, encoder, assessor, runtime, questions=questions, seed=1)

    table = {}
    for name, answers in (("model alone", alone), ("judged", judged)):
        threshold = best_threshold(answers(choose))
        table[name] = threshold, reader_score(answers(report), threshold)
    return table


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
    print()
    table = reader_table(arguments.data, reader, runtime, questions=arguments.questions)
    for name, (threshold, score) in table.items():
        print(f"reader, {name}, threshold {threshold:.2f}: {score}")
    print()
    for dtype, threads, milliseconds in speed_table():
        print(f"{_TIMED_PAIRS} pairs, {dtype}, {threads} threads: {milliseconds:.0f} ms")
    runtime.close()


if __name__ == "__main__":
    main()
