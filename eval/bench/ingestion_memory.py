"""Does the memory of a service stay flat while it ingests? `python -m eval.bench.ingestion_memory [--documents 50000]`.

Ingests short documents into the parts of a service in this process, and prints its resident set (MiB) after every so
many of them, as one JSON object: all of it, and what of it is no file mapped into memory (which the kernel takes back
when it needs to, such as the stored index). By default vectors are made up, since a model's memory does not depend on
the number of documents; with `--model` the packaged one embeds.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from eval.bench.ingestion_parts import IngestionParts
from ingest.models import Encoder, FloatArray, PreparedText, TextKind, load_embedder
from ingest.sentences import Span
from ingest.settings import IngestSettings

_WORD = re.compile(r"\w+|[^\w\s]")


class MadeUpEncoder:
    """A vector of every text that depends on its bytes only; words for tokens."""

    name = "made-up"
    revision = "1"
    dimensions = 384
    languages: tuple[str, ...] | None = None
    judged_languages: tuple[str, ...] | None = None

    def least_cosine(self, query: str) -> float:
        return -1.0

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        return [PreparedText(len(text) // 4 + 2, text) for text in texts]

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        return np.stack([_vector(str(one.content), self.dimensions) for one in prepared])

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return [[Span(*match.span()) for match in _WORD.finditer(text)] for text in texts]


def measure(encoder: Encoder, *, documents: int, every: int) -> dict[str, Any]:
    """Resident MiB before, and after every `every` documents."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        parts = IngestionParts(Path(folder), encoder, stack)
        parts.ingest(_lines(0, 100))  # what is loaded once, is loaded
        resident, begun = [_resident_mib()], time.perf_counter()
        for start in range(100, documents, every):
            parts.ingest(_lines(start, min(start + every, documents)))
            gc.collect()
            resident.append(_resident_mib())
            sys.stderr.write(f"{min(start + every, documents)} documents: {resident[-1]}\n")
        seconds = time.perf_counter() - begun
    return {
        "documents": documents,
        "every": every,
        "documents_per_s": round(documents / seconds, 1),
        "resident_mib": [one["all"] for one in resident],
        "not_mapped_mib": [one["not mapped"] for one in resident],
        "vectors_mib": round(documents * encoder.dimensions * 4 / (1 << 20), 1),
    }


def _lines(start: int, end: int) -> list[bytes]:
    return [
        json.dumps({"id": f"document-{number}", "text": f"Ferry {number} leaves harbour {number % 97}."}).encode()
        for number in range(start, end)
    ]


def _resident_mib() -> dict[str, float]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kib = {name: int(status[name].split()[0]) for name in ("VmRSS", "RssFile")}
    return {"all": round(kib["VmRSS"] / 1024, 1), "not mapped": round((kib["VmRSS"] - kib["RssFile"]) / 1024, 1)}


def _vector(text: str, dimensions: int) -> FloatArray:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of ingestion.")
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--model", action="store_true", help="embed with the packaged model")
    arguments = parser.parse_args()
    encoder: Encoder = MadeUpEncoder()
    if arguments.model:
        settings = IngestSettings.model_validate({})
        encoder = load_embedder(settings.embedding_model, device=settings.device, dtype=settings.dtype)
    report = measure(encoder, documents=arguments.documents, every=arguments.every)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
