"""The parts of a service that ingesting needs, put together for benchmarks."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from sqlalchemy import select

from ingest.blobs import BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.chunking import contextual_text
from ingest.collections import Collections, CollectionSettings
from ingest.documents import Documents, Passwords, Upload
from ingest.generations import GenerationSpec
from ingest.jobs import TERMINAL_STATES, JobRunner, Jobs
from ingest.memory import MemoryKeeper, bound_arenas
from ingest.models import Encoder, FloatArray, ModelRuntime
from ingest.parsing import ParserPool
from ingest.parsing.media_types import CORPUS_JSONL
from ingest.pipeline import IngestHandler
from ingest.reindexing import CommitLocks
from ingest.settings import IngestSettings
from retrieve import ANALYSER, Indexes, RetrieveSettings

_POLL_S = 0.05
_OWNER = "bench"


class IngestionParts:
    """The parts of a service that ingesting needs, with this encoder, on a fresh folder; `stack` closes them."""

    def __init__(self, folder: Path, encoder: Encoder, stack: ExitStack) -> None:
        bound_arenas()
        settings = IngestSettings.model_validate({"data_dir": folder})
        self.encoder = encoder
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
        keeper = MemoryKeeper()
        keeper.start()
        stack.callback(keeper.close)
        self._runner.start()
        stack.callback(self._runner.close)
        self._collection, _ = Collections(self.catalogue).put("bench", CollectionSettings(), self._spec(settings))

    def ingest(self, lines: Sequence[bytes]) -> None:
        """Take a corpus with these lines from upload to searchable."""
        blob = self._blobs.put(io.BytesIO(b"\n".join(lines)), max_bytes=1 << 30)
        upload = Upload("part.jsonl", "part.jsonl", CORPUS_JSONL, blob)
        job_id = self._documents.submit(self._collection, [upload], key_id=None).job_id
        self._runner.notify()
        while (job := self._jobs.get(job_id)).state not in TERMINAL_STATES:
            time.sleep(_POLL_S)
        if job.state != "succeeded":
            raise SystemExit(f"the job ended as {job.state}: {job.error_message}")

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
