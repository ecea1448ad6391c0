"""Retrying what failed in a job."""

from __future__ import annotations

import pytest

from api.bootstrap import Service
from ingest.errors import Conflict, ExtractionFailed
from tests.ingest.support import TextParser, finished, ingest


def test_retry_takes_up_what_failed(service: Service, parser: TextParser) -> None:
    """Only what failed, and only what has not been deleted or replaced meanwhile."""

    def fail(source: object) -> None:
        raise ExtractionFailed("not today")

    collection = service.collections.get("default")
    ingest(service, {"good.txt": b"G."})
    parser.before = fail
    job = ingest(service, {"good.txt": b"G.", "a.txt": b"A.", "b.txt": b"B.", "c.txt": b"C."})
    assert (job.state, job.failed) == ("partial", 3)
    parser.before = lambda source: None
    ingest(service, {"b.txt": b"New."})
    service.deletion.delete_documents(collection, ["c.txt"], key_id=None)
    parser.parsed.clear()
    again = service.jobs.retry(job.job_id)
    assert (again.state, again.stage, again.done, again.total) == ("queued", "parsing", 3, 4)
    assert set(again.progress.values()) == {3}
    service.runner.notify()
    retried = finished(service, job.job_id)
    assert parser.parsed == ["a.txt"]
    assert retried.state == "partial"
    assert service.documents.get(collection, "a.txt").status == "ready"
    with pytest.raises(Conflict) as caught:
        service.jobs.retry(job.job_id)
    assert caught.value.code == "nothing_to_retry"
