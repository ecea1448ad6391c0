"""Killed at any moment, the service comes back with every document whole or absent, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import Connection, func, select

from api.bootstrap import Service, open_service
from api.doctor.consistency import check_consistency
from ingest.catalogue import schema
from ingest.chunking import ChunkShape, chunk_document
from ingest.generations import Generation
from ingest.jobs import TERMINAL_STATES
from ingest.owner import DataDirectory
from ingest.parsing.document import ParsedDocument
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, search, wait_for
from tests.torture import child
from tests.torture.deeds import JOURNAL, NAMES, Journal, open_jobs, text
from tests.torture.promises import check_promises, read_promises

_POINT_WAIT_S = 15.0
_UPLOADS = 40


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
            kill_once(lives, [str(data_dir), number, None, 0, False], after_s=chance.uniform(0.05, 0.8))
        else:
            life = [str(data_dir), number, point, chance.randint(1, passages), False]
            kill_once(lives, life, after_s=_POINT_WAIT_S)
        check_survivor(data_dir)


def test_nothing_that_was_accepted_over_http_is_lost(tmp_path: Path, lives: subprocess.Popen[str], kills: int) -> None:
    """A server is killed in the middle of uploads; what it had answered 202 to is there, whole, after a restart."""
    chance = random.Random(20260202)  # noqa: S311 - chance, not secrets
    data_dir = tmp_path / "data"
    journal = Journal(tmp_path / JOURNAL)
    for number in range(max(2, kills // 6)):
        life = [str(data_dir), number, None, 0, True]
        after_s = chance.uniform(0.1, 0.6)
        kill_once(lives, life, after_s=after_s, meanwhile=lambda: upload_over_http(data_dir, chance, journal))
        check_survivor(data_dir)


def upload_over_http(data_dir: Path, chance: random.Random, journal: Journal) -> None:
    """Send one file after the other until the server is gone."""
    url = DataDirectory(data_dir).owner_url()
    assert url is not None
    with httpx.Client(base_url=url, timeout=30) as client:
        for _ in range(_UPLOADS):
            name, content = chance.choice(NAMES), text(chance).encode()
            try:
                with journal.noting("upload", {name: hashlib.sha256(content).hexdigest()}):
                    path = f"/v1/collections/default/documents/{name}"
                    client.put(path, content=content, headers={"Content-Type": "text/plain"}).raise_for_status()
            except httpx.TransportError:
                return


def kill_once(
    lives: subprocess.Popen[str],
    life: list[object],
    *,
    after_s: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
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
        meanwhile()
        line = lives.stdout.readline()
    killer.cancel()
    assert line == "died -9\n"


def check_survivor(data_dir: Path) -> None:
    """Start once more, let everything that waits be done, and look at all of it; then let the doctor look."""
    settings = child.settings(data_dir)
    with open_service(settings, parser=TextParser(), load=child.load) as service:
        service.runner.notify()
        wait_for(lambda: not open_jobs(service))
        check(service)
        with service.catalogue.read() as connection:
            check_promises(connection, read_promises(data_dir.parent / JOURNAL))
        checks = check_consistency(service.catalogue, service.blobs, data_dir / "indexes", serving=False)
    assert [(one.name, one.detail) for one in checks if one.state != "ok"] == []


def check(service: Service) -> None:
    """Every invariant that a reader of the catalogue relies on."""
    with service.catalogue.read() as connection:
        generation = service.collections.get("default").live_generation
        documents = connection.execute(select(schema.documents)).all()
        assert all(document.tombstoned_at is None for document in documents)
        assert len({document.document_id for document in documents}) == len(documents)
        for document in documents:
            check_document(connection, document, generation)
        check_versions(connection)
        check_jobs(connection)
        check_originals(connection, service)
        live = {document.live_version_pk for document in documents} - {None}
    check_search(service, live)


def check_document(connection: Connection, document: Any, generation: Generation) -> None:
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
    shape = ChunkShape(generation.spec.chunk_tokens, generation.spec.overlap_tokens)
    expected = chunk_document(ParsedDocument(text, None), HashingEncoder(), shape)
    joined = chunks.outerjoin(vectors, vectors.c.chunk_pk == chunks.c.pk)
    query = (
        select(chunks, vectors.c.vector)
        .select_from(joined)
        .where(chunks.c.version_pk == version.pk, chunks.c.generation_pk == generation.pk)
    )
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
    owners = select(schema.generations.c.state).join(
        schema.chunks, schema.chunks.c.generation_pk == schema.generations.c.pk
    )
    assert set(connection.execute(owners.distinct()).scalars()) <= {"live", "retired"}
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
    own = chunks.c.generation_pk == collection.live_generation.pk
    with service.catalogue.read() as connection:
        expected = sorted(connection.execute(select(chunks.c.pk).where(chunks.c.version_pk.in_(live), own)).scalars())
    audit = service.indexes.audit(collection.pk, collection.live_generation)
    assert audit.agrees, audit
    assert audit.chunks == len(expected)
    snapshot = service.indexes.snapshot(collection.pk, collection.live_generation)
    query = HashingEncoder().encode(["the"], "query", fast=False)[0]
    assert sorted(snapshot.vector.search(query, top_k=10_000).chunks.tolist()) == expected
    for hit in search(service, "the ferry", top_k=50):
        assert hit.version_pk in live
        assert hit.text == service.documents.text(collection, hit.document_id).text[hit.char_start : hit.char_end]
    assert service.searcher.stale_entries() == 0
