"""Killed at any moment, the service comes back with every document whole or absent, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, func, select

from api.bootstrap import Service, open_service
from ingest.catalogue import schema
from ingest.chunking import ChunkShape, chunk_document
from ingest.jobs import TERMINAL_STATES
from ingest.parsing.document import ParsedDocument
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, search, wait_for
from tests.torture import child

_POINT_WAIT_S = 15.0


@pytest.fixture
def lives() -> Iterator[subprocess.Popen[str]]:
    """The process whose forks are killed."""
    command = [sys.executable, "-m", "tests.torture.child"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_nothing_is_half_there_after_any_kill(tmp_path: Path, lives: subprocess.Popen[str], kills: int) -> None:
    """Seeded kills, from outside and at named points, one after the other on the same data directory."""
    chance = random.Random(20260131)  # noqa: S311 - chance, not secrets
    data_dir = tmp_path / "data"
    for number in range(kills):
        point, passages = list(child.POINTS.items())[number // 2 % len(child.POINTS)]
        if number % 2:
            kill_once(lives, [str(data_dir), number, None, 0], after_s=chance.uniform(0.05, 0.8))
        else:
            kill_once(lives, [str(data_dir), number, point, chance.randint(1, passages)], after_s=_POINT_WAIT_S)
        with open_service(child.settings(data_dir), parser=TextParser(), load=child.load) as service:
            service.runner.notify()
            wait_for(lambda service=service: not child.open_jobs(service))
            check(service)


def kill_once(lives: subprocess.Popen[str], life: list[object], *, after_s: float) -> None:
    """Begin a life, and end it after this time, if it has not ended itself at its point before."""
    assert lives.stdin is not None
    assert lives.stdout is not None
    lives.stdin.write(json.dumps(life) + "\n")
    lives.stdin.flush()
    pid = int(lives.stdout.readline())
    killer = threading.Timer(after_s, os.kill, (pid, signal.SIGKILL))
    line = lives.stdout.readline()
    if line == "serving\n":
        killer.start()
        line = lives.stdout.readline()
    killer.cancel()
    assert line == "died -9\n"


def check(service: Service) -> None:
    """Every invariant that a reader of the catalogue relies on."""
    with service.catalogue.read() as connection:
        documents = connection.execute(select(schema.documents)).all()
        assert all(document.tombstoned_at is None for document in documents)
        assert len({document.document_id for document in documents}) == len(documents)
        for document in documents:
            check_document(connection, document)
        check_versions(connection)
        check_jobs(connection)
        check_originals(connection, service)
        live = {document.live_version_pk for document in documents} - {None}
    check_search(service, live)


def check_document(connection: Connection, document: Any) -> None:
    """Ready with a live version that is whole, or failed with a reason."""
    if document.live_version_pk is None:
        assert document.status == "failed"
        assert document.error_code is not None
        return
    assert document.status == "ready"
    versions, texts, chunks, vectors = schema.versions, schema.version_texts, schema.chunks, schema.chunk_vectors
    version = connection.execute(select(versions).where(versions.c.pk == document.live_version_pk)).one()
    assert (version.document_pk, version.state) == (document.pk, "live")
    text = connection.execute(select(texts.c.text).where(texts.c.version_pk == version.pk)).scalar_one()
    shape = ChunkShape(child.settings(Path()).chunk_tokens, child.settings(Path()).overlap_tokens)
    expected = chunk_document(ParsedDocument(text, None), HashingEncoder(), shape)
    joined = chunks.outerjoin(vectors, vectors.c.chunk_pk == chunks.c.pk)
    query = select(chunks, vectors.c.vector).select_from(joined).where(chunks.c.version_pk == version.pk)
    rows = connection.execute(query.order_by(chunks.c.ordinal)).all()
    spans = [(row.ordinal, row.char_start, row.char_end) for row in rows]
    assert spans == [(chunk.ordinal, chunk.start, chunk.end) for chunk in expected]
    for row in rows:
        assert row.text == text[row.char_start : row.char_end]
        assert np.linalg.norm(np.frombuffer(row.vector, dtype="<f4")) == pytest.approx(1, abs=1e-3)


def check_versions(connection: Connection) -> None:
    """Nothing waits any more; at most one live version a document, and that is its own; a vector for every chunk."""
    versions = schema.versions
    states = connection.execute(select(versions.c.state, func.count()).group_by(versions.c.state)).all()
    assert {row.state for row in states} <= {"live", "retired", "failed", "superseded", "expired"}
    doubled = select(versions.c.document_pk).where(versions.c.state == "live").group_by(versions.c.document_pk)
    assert connection.execute(doubled.having(func.count() > 1)).all() == []
    chunks, vectors = (
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (schema.chunks, schema.chunk_vectors)
    )
    assert chunks == vectors
    orphaned = select(schema.documents.c.pk).where(
        schema.documents.c.live_version_pk.is_not(None),
        schema.documents.c.live_version_pk.not_in(select(versions.c.pk).where(versions.c.state == "live")),
    )
    assert connection.execute(orphaned).all() == []


def check_jobs(connection: Connection) -> None:
    """Every job and each of its parts has ended, the counts are those of the parts, and every receipt is closed."""
    jobs, parts = schema.jobs, schema.job_documents
    query = select(parts.c.state).join(jobs, jobs.c.pk == parts.c.job_pk).distinct()
    assert set(connection.execute(query).scalars()) <= {"succeeded", "unchanged", "failed", "cancelled"}
    for job in connection.execute(select(jobs)):
        assert job.state in TERMINAL_STATES
        assert job.error_code is None
        assert job.done == job.total
    receipts = connection.execute(select(schema.receipts.c.state).distinct()).scalars().all()
    assert set(receipts) <= {"purged"}


def check_originals(connection: Connection, service: Service) -> None:
    """Every version has its original, and no original is without a version."""
    versions = schema.versions
    wanted = set(connection.execute(select(versions.c.sha256).where(versions.c.has_blob == 1)).scalars())
    assert wanted == set(service.blobs)


def check_search(service: Service, live: set[int]) -> None:
    """Both indexes hold the chunks of the live versions, each once."""
    collection = service.collections.get("default")
    chunks = schema.chunks
    with service.catalogue.read() as connection:
        expected = sorted(connection.execute(select(chunks.c.pk).where(chunks.c.version_pk.in_(live))).scalars())
    snapshot = service.indexes.snapshot(collection.pk, collection.live_generation)
    query = HashingEncoder().encode(["the"], "query", fast=False)[0]
    assert sorted(snapshot.vector.search(query, top_k=10_000).chunks.tolist()) == expected
    assert snapshot.lexical.count == len(expected)
    for hit in search(service, "the ferry", top_k=50):
        assert hit.version_pk in live
        assert hit.text == service.documents.text(collection, hit.document_id).text[hit.char_start : hit.char_end]
