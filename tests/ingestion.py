"""Putting documents into a service under test, and waiting until they are searchable."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from api.bootstrap import Service
from ingest.documents import Upload
from ingest.jobs import TERMINAL_STATES, Job
from ingest.parsing import detect_media_type

_WAIT_S = 60.0


def upload(
    service: Service,
    document_id: str,
    data: bytes,
    *,
    metadata: Mapping[str, Any] | None = None,
    access: Sequence[str] | None = None,
    password: str | None = None,
) -> Upload:
    """An upload whose bytes are stored already; the media type follows from the name."""
    blob = service.blobs.put(BytesIO(data), max_bytes=1 << 30)
    filename = document_id.rsplit("/", 1)[-1]
    media_type = detect_media_type(filename, None, blob.head)
    return Upload(document_id, filename, media_type, blob, metadata or {}, access, password)


def ingest(service: Service, uploads: Sequence[Upload], collection: str = "default") -> Job:
    """Submits and waits for the end of the job."""
    submission = service.documents.submit(service.collections.get(collection), uploads, key_id=None)
    service.runner.notify()
    return wait_for_job(service, submission.job_id)


def ingest_texts(service: Service, texts: Mapping[str, str], collection: str = "default") -> Job:
    """Ingests plain texts by document id; fails the test unless all succeed."""
    job = ingest(service, [upload(service, name, text.encode()) for name, text in texts.items()], collection)
    assert job.state == "succeeded", job
    return job


def wait_for_job(service: Service, job_id: str, *, wait_s: float = _WAIT_S) -> Job:
    """The job once it has ended; fails the test after a minute, or `wait_s`."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        job = service.jobs.get(job_id)
        if job.state in TERMINAL_STATES:
            return job
        time.sleep(0.02)
    raise AssertionError(f"job {job_id} has not ended after {wait_s:g} s: {service.jobs.get(job_id)}")
