"""The end of a job: final, and with nothing left waiting."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from api.bootstrap import Service
from ingest.catalogue import Catalogue
from ingest.jobs import Jobs
from tests.ingest.jobs.queued import add
from tests.ingest.support import finished, ingest, submit


def test_a_terminal_state_is_final(catalogue: Catalogue, jobs: Jobs) -> None:
    """A worker that comes late changes nothing."""
    add(catalogue, "a")
    jobs.cancel("a")
    jobs.end(1, "succeeded")
    assert jobs.get("a").state == "cancelled"


def test_a_cancelled_job_leaves_nothing_waiting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed stays, what was not reached fails; the same bytes can be sent again, and are ingested."""
    monkeypatch.setattr("ingest.pipeline._GROUP_DOCUMENTS", 1)
    collection = service.collections.get("default")
    started, release = threading.Event(), threading.Event()
    embed = service.runtime.embed

    def embed_later(*arguments: Any, **named: Any) -> Any:
        """The first document is past its last chance to be cancelled, the second before its first."""
        started.set()
        assert release.wait(10)
        return embed(*arguments, **named)

    monkeypatch.setattr(service.runtime, "embed", embed_later)
    submission = submit(service, {"a.txt": b"A.", "b.txt": b"B."})
    assert started.wait(10)
    service.jobs.cancel(submission.job_id)
    release.set()
    job = finished(service, submission.job_id)
    parts, _ = service.jobs.documents(submission.job_id)
    assert (job.state, job.done, job.total) == ("cancelled", 2, 2)
    assert [part.state for part in parts] == ["succeeded", "cancelled"]
    assert [service.documents.get(collection, one).status for one in ("a.txt", "b.txt")] == ["ready", "failed"]
    assert ingest(service, {"a.txt": b"A.", "b.txt": b"B."}).state == "succeeded"
    assert [service.documents.get(collection, one).status for one in ("a.txt", "b.txt")] == ["ready", "ready"]
