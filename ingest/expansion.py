"""Corpora: one uploaded file becomes many documents, recorded line by line before they are ingested."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ingest.blobs import Blob, BlobStore
from ingest.catalogue import Catalogue, schema
from ingest.collections import Collection
from ingest.corpus import CORPUS_LINE_MEDIA_TYPE, BadLine, CorpusLine, read_corpus
from ingest.documents import LineUpload, Upload, check_collection, check_document_id, record_lines
from ingest.errors import CitewellError, ExtractionFailed, InvalidInput, NotFound
from ingest.jobs import Job, JobCancelled, JobContext, settle_job_counts
from ingest.originals import remove_spent_corpora

_EXPAND_LINES = 200  # some tenths of a second on the writer thread, for which others wait


class CorpusExpander:
    """Records the lines of a job's corpora. Killed, it goes on after the last line that it recorded."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore, *, decompressed_bytes_max: int) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._decompressed_bytes_max = decompressed_bytes_max

    def expand(self, job: Job, collection: Collection, context: JobContext) -> None:
        """Record every line that is not recorded yet; a corpus that cannot be read fails, and the others go on."""
        table = schema.job_documents
        query = select(table).where(table.c.job_pk == job.pk, table.c.kind == "corpus", table.c.state == "queued")
        with self._catalogue.read() as connection:
            corpora = connection.execute(query).all()
        for corpus in corpora:
            try:
                self._expand_one(job, collection, corpus, context)
            except ExtractionFailed as failure:
                self._fail_corpus(job, corpus, failure)
        remove_spent_corpora(self._catalogue, self._blobs)

    def _expand_one(self, job: Job, collection: Collection, corpus: Row[Any], context: JobContext) -> None:
        """Record the corpus's lines as documents, a batch a transaction, each with the number of its last line."""
        lines = read_corpus(
            self._blobs.path(corpus.payload["sha256"]),
            corpus.payload["media_type"],
            decompressed_bytes_max=self._decompressed_bytes_max,
        )
        batch: list[tuple[int, CorpusLine | BadLine]] = []
        for number, line in lines:
            if number <= corpus.payload["line"]:
                continue
            batch.append((number, line))
            if len(batch) == _EXPAND_LINES:
                context.check()
                self._record(job, collection, corpus, batch)
                batch = []
        self._record(job, collection, corpus, batch, last=True)

    def _record(
        self,
        job: Job,
        collection: Collection,
        corpus: Row[Any],
        lines: Sequence[tuple[int, CorpusLine | BadLine]],
        *,
        last: bool = False,
    ) -> None:
        self._catalogue.write(
            lambda connection: _record_lines(connection, job.pk, collection, corpus, lines, last=last)
        )

    def _fail_corpus(self, job: Job, corpus: Row[Any], error: CitewellError) -> None:
        self._catalogue.write(lambda connection: _fail_corpus(connection, job.pk, corpus, error))


def _record_lines(
    connection: Connection,
    job_pk: int,
    collection: Collection,
    corpus: Row[Any],
    lines: Sequence[tuple[int, CorpusLine | BadLine]],
    *,
    last: bool = False,
) -> None:
    try:
        check_collection(connection, collection)
    except NotFound as deleted:
        raise JobCancelled from deleted
    uploads: list[LineUpload] = []
    for number, line in lines:
        problem = line.problem if isinstance(line, BadLine) else _problem_of(line)
        if isinstance(line, BadLine) or problem is not None:
            record_lines(connection, collection, job_pk, uploads)
            uploads = []
            _record_bad_line(connection, job_pk, corpus, number, problem or "")
        else:
            uploads.append(_upload(corpus, line))
    record_lines(connection, collection, job_pk, uploads)
    payload = {**corpus.payload, "line": lines[-1][0] if lines else corpus.payload["line"]}
    connection.execute(
        update(schema.job_documents)
        .where(schema.job_documents.c.pk == corpus.pk)
        .values(payload=payload, state="succeeded" if last else "queued")
    )
    settle_job_counts(connection, job_pk)


def _problem_of(line: CorpusLine) -> str | None:
    try:
        check_document_id(line.document_id)
    except InvalidInput as failure:
        return failure.message
    return None


def _upload(corpus: Row[Any], line: CorpusLine) -> LineUpload:
    content = line.canonical()
    upload = Upload(
        document_id=line.document_id,
        filename=corpus.filename,
        media_type=CORPUS_LINE_MEDIA_TYPE,
        blob=Blob(hashlib.sha256(content).hexdigest(), len(content), content[:0]),
        metadata={**line.metadata, **corpus.payload["metadata"]},
        access=corpus.payload["access"],
    )
    return LineUpload(upload, line.text, {"title": line.title, "metadata": dict(line.metadata)})


def _record_bad_line(connection: Connection, job_pk: int, corpus: Row[Any], number: int, problem: str) -> None:
    connection.execute(
        insert(schema.job_documents).values(
            job_pk=job_pk,
            document_id=f"{corpus.filename}#{number}"[:400],
            filename=corpus.filename,
            kind="line",
            stage="parsing",
            state="failed",
            error_code="invalid_line",
            error_message=f"line {number} {problem}",
        )
    )


def _fail_corpus(connection: Connection, job_pk: int, corpus: Row[Any], error: CitewellError) -> None:
    connection.execute(
        update(schema.job_documents)
        .where(schema.job_documents.c.pk == corpus.pk)
        .values(state="failed", error_code=error.code, error_message=error.message)
    )
    settle_job_counts(connection, job_pk)
