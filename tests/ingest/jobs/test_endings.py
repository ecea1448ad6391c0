"""The end of a job: final, and with nothing left waiting."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from api.bootstrap import Service
from ingest.catalogue import Catalogue
from ingest.commit import Committer
from ingest.jobs import Jobs
from ingest.parsing import SourceFile
from tests.ingest.jobs.queued import add
from tests.ingest.support import TextParser, finished, ingest, submit


def test_a_terminal_state_is_final(catalogue: Catalogue, jobs: Jobs) -> None:
    """A worker that comes late changes nothing."""
    add(catalogue, "a")
    jobs.cancel("a")
    jobs.end(1, "succeeded")
    assert jobs.get("a").state == "cancelled"


def test_a_cancelled_job_leaves_nothing_waiting(
    service: Service, parser: TextParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed stays, what was not reached fails; the same bytes can be sent again, and are ingested."""
    collection = service.collections.get("default")
    started, release = threading.Event(), threading.Event()
    commit = Committer.commit

    def commit_later(*arguments: Any, **named: Any) -> None:
        """The first document is past its last chance to be cancelled, the second before its first."""
        started.set()
        assert release.wait(10)
        commit(*arguments, **named)

    def wait_with_the_second(source: SourceFile) -> None:
        assert source.filename == "a.txt" or release.wait(10)

    parser.before = wait_with_the_second
    monkeypatch.setattr(Committer, "commit", commit_later)
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
