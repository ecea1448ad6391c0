"""How fast a corpus is ingested, against the plain model: `python -m eval.bench.ingestion --data DIR/qed_nq_train`.

Each part of the corpus is ingested from upload to searchable, then its chunk texts are embedded by
`SentenceTransformer.encode` in float32 with its default settings, in the same process: what disturbs the machine
disturbs both. Prints one JSON object: chunks a second of both and their ratio by the clock and by processor time, the
share of the clock outside of the model's forward passes, and the cosine of each stored vector to the float32 one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eval.bench.ingestion_parts import IngestionParts
from ingest.models import FloatArray, PreparedText, SentenceTransformerEncoder, TextKind
from ingest.settings import IngestSettings

_MODEL = "all-MiniLM-L6-v2"


class _TimedEncoder(SentenceTransformerEncoder):
    """Adds up the time of its forward passes, in seconds by the clock."""

    forward_s = 0.0

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        begun = time.perf_counter()
        vectors = super().forward(prepared, kind, fast=fast)
        self.forward_s += time.perf_counter() - begun
        return vectors


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds by the clock, of processor time, and (of the clock) inside of forward passes."""

    clock_s: float
    processor_s: float
    forward_s: float


def measure(lines: Sequence[bytes], parts: int) -> dict[str, Any]:
    """Both ways over each of `parts` equal parts of the corpus, in turn."""
    settings = IngestSettings.model_validate({})
    encoder = _TimedEncoder(_MODEL, device=settings.device, dtype=settings.dtype)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ingestion = IngestionParts(Path(folder), encoder, stack)
        plain = SentenceTransformerEncoder(_MODEL)._model
        ours, theirs, ratios, cosines, last = [], [], [], [], 0
        for part in np.array_split(np.arange(len(lines)), parts):
            ours.append(_ingested(ingestion, encoder, [lines[number] for number in part]))
            keys, texts, stored = ingestion.chunks(after=last)
            last = keys[-1]
            clock, processor = time.perf_counter(), time.process_time()
            exact = np.asarray(plain.encode(texts, show_progress_bar=False))
            theirs.append(_Spent(time.perf_counter() - clock, time.process_time() - processor, 0.0))
            ratios.append(round(theirs[-1].clock_s / ours[-1].clock_s, 3))
            cosines.append(np.sum(exact * stored, axis=1) / np.linalg.norm(exact, axis=1))
            sys.stderr.write(f"{last} chunks: {ratios[-1]} times as fast\n")
    return _report(len(lines), np.concatenate(cosines), ours, theirs, ratios)


def _ingested(ingestion: IngestionParts, encoder: _TimedEncoder, lines: Sequence[bytes]) -> _Spent:
    forward, processor, clock = encoder.forward_s, time.process_time(), time.perf_counter()
    ingestion.ingest(lines)
    return _Spent(time.perf_counter() - clock, time.process_time() - processor, encoder.forward_s - forward)


def _report(
    documents: int, cosines: FloatArray, ours: Sequence[_Spent], theirs: Sequence[_Spent], ratios: Sequence[float]
) -> dict[str, Any]:
    clock, their_clock = sum(one.clock_s for one in ours), sum(one.clock_s for one in theirs)
    processor, their_processor = sum(one.processor_s for one in ours), sum(one.processor_s for one in theirs)
    chunks = len(cosines)
    return {
        "documents": documents,
        "chunks": chunks,
        "ingested_chunks_per_s": round(chunks / clock, 1),
        "encoded_chunks_per_s": round(chunks / their_clock, 1),
        "ratio": round(their_clock / clock, 3),
        "ratio_by_part": list(ratios),
        "ratio_of_processor_time": round(their_processor / processor, 3),
        "share_outside_forwards": round(1 - sum(one.forward_s for one in ours) / clock, 4),
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_min": round(float(cosines.min()), 6),
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of ingestion against the plain model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with corpus.jsonl.gz")
    parser.add_argument("--documents", type=int, default=None, help="only so many, evenly spread")
    parser.add_argument("--parts", type=int, default=4)
    arguments = parser.parse_args()
    with gzip.open(arguments.data / "corpus.jsonl.gz") as file:
        lines = [line.strip() for line in file if line.strip()]
    if arguments.documents is not None:
        lines = [lines[place] for place in np.linspace(0, len(lines) - 1, arguments.documents, dtype=int)]
    sys.stdout.write(json.dumps(measure(lines, arguments.parts), indent=2) + "\n")


if __name__ == "__main__":
    main()
