"""The queue: claims, leases, cancelling, recovery."""

from __future__ import annotations

import pytest

from api.bootstrap import Service
from ingest.catalogue import Catalogue
from ingest.errors import Conflict, NotFound
from ingest.jobs import Jobs
from tests.ingest.jobs.queued import add, let_lease_run_out
from tests.ingest.support import ingest


def test_jobs_are_claimed_oldest_first_and_once(catalogue: Catalogue, jobs: Jobs) -> None:
    """Other kinds are left alone; a running job is not claimed again."""
    for job_id, kind in (("a", "work"), ("b", "other"), ("c", "work")):
        add(catalogue, job_id, kind)
    claimed = [jobs.claim(["work"], "me", 30) for _ in range(3)]
    assert [job.job_id if job else None for job in claimed] == ["a", "c", None]
    assert [jobs.get(job_id).state for job_id in "abc"] == ["running", "queued", "running"]


def test_a_job_whose_lease_ran_out_is_taken_over(catalogue: Catalogue, jobs: Jobs) -> None:
    """A heartbeat prevents that."""
    add(catalogue, "a")
    first = jobs.claim(["work"], "me", 30)
    assert first is not None
    let_lease_run_out(catalogue)
    jobs.heartbeat(first.pk, 30)
    assert jobs.claim(["work"], "other", 30) is None
    let_lease_run_out(catalogue)
    second = jobs.claim(["work"], "other", 30)
    assert second is not None
    assert second.job_id == "a"


def test_after_five_attempts_a_job_fails(catalogue: Catalogue, jobs: Jobs) -> None:
    """A job that kills its worker each time must not do so for ever; the next job is claimed instead."""
    add(catalogue, "a")
    add(catalogue, "b", attempts=4)
    for _ in range(5):
        job = jobs.claim(["work"], "me", 30)
        assert job is not None
        assert job.job_id == "a"
        let_lease_run_out(catalogue)
    job = jobs.claim(["work"], "me", 30)
    assert job is not None
    assert job.job_id == "b"
    assert (jobs.get("a").state, jobs.get("a").error_code) == ("failed", "job_crashed")


def test_recover_puts_running_jobs_back_unless_they_had_their_attempts(catalogue: Catalogue, jobs: Jobs) -> None:
    """At the start nobody can be running."""
    add(catalogue, "a", state="running", attempts=1)
    add(catalogue, "b", state="running", attempts=5)
    add(catalogue, "c", state="succeeded")
    assert jobs.recover() == 2
    assert [jobs.get(job_id).state for job_id in "abc"] == ["queued", "failed", "succeeded"]


def test_a_queued_job_is_cancelled_at_once(catalogue: Catalogue, jobs: Jobs) -> None:
    """And only once."""
    add(catalogue, "a")
    assert jobs.cancel("a").state == "cancelled"
    assert jobs.claim(["work"], "me", 30) is None
    with pytest.raises(Conflict, match="already ended"):
        jobs.cancel("a")


def test_a_purge_cannot_be_cancelled(catalogue: Catalogue, jobs: Jobs) -> None:
    """What was deleted has to go."""
    add(catalogue, "a", "purge")
    with pytest.raises(Conflict) as caught:
        jobs.cancel("a")
    assert caught.value.code == "job_not_cancellable"


def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    """With its own code."""
    for call in (jobs.get, jobs.cancel, jobs.retry, jobs.documents):
        with pytest.raises(NotFound) as caught:
            call("nothing")
        assert caught.value.code == "job_not_found"


def test_documents_of_a_job_are_listed_in_pages_and_by_state(service: Service) -> None:
    """In upload order."""
    job = ingest(service, {"a.txt": b"A.", "b.txt": b"BROKEN", "c.txt": b"C."})
    page, cursor = service.jobs.documents(job.job_id, limit=2)
    assert cursor is not None
    rest, end = service.jobs.documents(job.job_id, limit=2, cursor=cursor)
    assert [(one.document_id, one.state) for one in page + rest] == [
        ("a.txt", "succeeded"),
        ("b.txt", "failed"),
        ("c.txt", "succeeded"),
    ]
    assert end is None
    failed, _ = service.jobs.documents(job.job_id, state="failed")
    assert [(one.document_id, one.error_code) for one in failed] == [("b.txt", "broken_document")]
