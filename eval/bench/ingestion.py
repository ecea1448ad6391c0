"""How fast a corpus is ingested, against the plain model: `python -m eval.bench.ingestion --data DIR/qed_nq_train`.

Each part of the corpus is ingested from upload to searchable, then its chunk texts are embedded by
`SentenceTransformer.encode` in float32 with its default settings, in the same process: what disturbs the machine
disturbs both. Prints one JSON object: chunks a second of both and their ratio by the clock and by processor time, the
share of the clock outside of the model's forward passes, and the cosine of each stored vector to the float32 one.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy import select

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunking import contextual_text
from ingest.collections import Collections, CollectionSettings
from ingest.documents import Documents, Passwords, Upload
from ingest.generations import GenerationSpec
from ingest.jobs import TERMINAL_STATES, JobRunner, Jobs
from ingest.models import FloatArray, ModelRuntime, PreparedText, SentenceTransformerEncoder, TextKind
from ingest.parsing import ParserPool
from ingest.parsing.media_types import CORPUS_JSONL
from ingest.pipeline import IngestHandler
from ingest.reindexing import CommitLocks
from ingest.settings import IngestSettings
from retrieve import ANALYSER, Indexes, RetrieveSettings

_POLL_S = 0.05
_OWNER = "bench"


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


class _Ingestion:
    """The parts of a service that ingesting needs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        settings = IngestSettings.model_validate({"data_dir": folder})
        self.encoder = _TimedEncoder(settings.embedding_model, device=settings.device, dtype=settings.dtype)
        self.catalogue = Catalogue(folder / "catalogue.sqlite")
        stack.callback(self.catalogue.close)
        self._blobs = BlobStore(folder / "blobs")
        runtime = ModelRuntime()
        stack.callback(runtime.close)
        indexes = Indexes(self.catalogue, RetrieveSettings.model_validate({}), folder / "indexes")
        indexes.start()
        stack.callback(indexes.close)
        pool = ParserPool(settings.parse_workers)
        stack.callback(pool.close)
        passwords = Passwords()
        self._documents = Documents(self.catalogue, self._blobs, passwords)
        self._jobs = Jobs(self.catalogue)
        handler = IngestHandler(
            catalogue=self.catalogue,
            blobs=self._blobs,
            parser=pool,
            runtime=runtime,
            encoder_for=lambda spec: self.encoder,
            progress=indexes,
            passwords=passwords,
            settings=settings,
            locks=CommitLocks(),
        )
        self._runner = JobRunner(self._jobs, {"ingest": handler}, workers=1, lease_s=settings.job_lease_s, owner=_OWNER)
        self._runner.start()
        stack.callback(self._runner.close)
        self._collection, _ = Collections(self.catalogue).put("bench", CollectionSettings(), self._spec(settings))

    def ingest(self, lines: Sequence[bytes]) -> _Spent:
        """The time from upload to searchable of a corpus with these lines."""
        forward, processor, clock = self.encoder.forward_s, time.process_time(), time.perf_counter()
        blob = self._blobs.put(io.BytesIO(b"\n".join(lines)), max_bytes=1 << 30)
        upload = Upload("part.jsonl", "part.jsonl", CORPUS_JSONL, blob)
        job_id = self._documents.submit(self._collection, [upload], key_id=None).job_id
        self._runner.notify()
        while (job := self._jobs.get(job_id)).state not in TERMINAL_STATES:
            time.sleep(_POLL_S)
        if job.state != "succeeded":
            raise SystemExit(f"the job ended as {job.state}: {job.error_message}")
        return _Spent(time.perf_counter() - clock, time.process_time() - processor, self.encoder.forward_s - forward)

    def chunks(self, *, after: int) -> tuple[list[int], list[str], FloatArray]:
        """Keys, embedded texts and stored vectors (shape (n, dimensions)) of the chunks beyond a key."""
        chunks, vectors, versions = schema.chunks, schema.chunk_vectors, schema.versions
        joined = chunks.join(vectors, vectors.c.chunk_pk == chunks.c.pk).join(
            versions, versions.c.pk == chunks.c.version_pk
        )
        query = select(chunks, vectors.c.vector, versions.c.title).select_from(joined).where(chunks.c.pk > after)
        with self.catalogue.read() as connection:
            rows = connection.execute(query.order_by(chunks.c.pk)).all()
        texts = [contextual_text(row.title, row.heading, row.text) for row in rows]
        return [row.pk for row in rows], texts, np.stack([np.frombuffer(row.vector, dtype="<f4") for row in rows])

    def _spec(self, settings: IngestSettings) -> GenerationSpec:
        return GenerationSpec(
            embedder=self.encoder.name,
            embedder_revision=self.encoder.revision,
            dimensions=self.encoder.dimensions,
            chunk_tokens=settings.chunk_tokens,
            overlap_tokens=settings.overlap_tokens,
            analyser=ANALYSER,
            index_kind="faiss_flat+tantivy",
        )


def measure(lines: Sequence[bytes], parts: int) -> dict[str, Any]:
    """Both ways over each of `parts` equal parts of the corpus, in turn."""
    with _opened() as ingestion:
        plain = SentenceTransformerEncoder("all-MiniLM-L6-v2")._model
        ours, theirs, ratios, cosines, last = [], [], [], [], 0
        for part in np.array_split(np.arange(len(lines)), parts):
            ours.append(ingestion.ingest([lines[number] for number in part]))
            keys, texts, stored = ingestion.chunks(after=last)
            last = keys[-1]
            clock, processor = time.perf_counter(), time.process_time()
            exact = np.asarray(plain.encode(texts, show_progress_bar=False))
            theirs.append(_Spent(time.perf_counter() - clock, time.process_time() - processor, 0.0))
            ratios.append(round(theirs[-1].clock_s / ours[-1].clock_s, 3))
            cosines.append(np.sum(exact * stored, axis=1) / np.linalg.norm(exact, axis=1))
            sys.stderr.write(f"{last} chunks: {ratios[-1]} times as fast\n")
    return _report(len(lines), np.concatenate(cosines), ours, theirs, ratios)


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


@contextmanager
def _opened() -> Iterator[_Ingestion]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield _Ingestion(Path(folder), stack)


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
