"""The job queue: claims, leases, cancelling, recovery, retries, and a terminal state in every case."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from api.bootstrap import Service
from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now
from ingest.collections import Collections, CollectionSettings
from ingest.errors import Conflict, ExtractionFailed, NotFound, Unavailable
from ingest.generations import GenerationSpec
from ingest.jobs import Job, JobContext, JobRunner, Jobs
from tests.ingest.support import TextParser, finished, ingest, submit, wait_for


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue with one collection."""
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    Collections(opened).put("c", CollectionSettings(), GenerationSpec("m", "1", 64, 60, 12, "a", "i"))
    yield opened
    opened.close()


@pytest.fixture
def jobs(catalogue: Catalogue) -> Jobs:
    """An empty queue."""
    return Jobs(catalogue)


def add(catalogue: Catalogue, job_id: str, kind: str = "work", **values: object) -> None:
    """Queue a job without documents."""
    row = {
        "job_id": job_id,
        "kind": kind,
        "collection_pk": 1,
        "state": "queued",
        "done": 0,
        "total": 0,
        "failed": 0,
        "payload": {},
        "attempts": 0,
        "cancel_requested": 0,
        "created_at": now(),
        "updated_at": now(),
        **values,
    }
    catalogue.write(lambda connection: connection.execute(insert(schema.jobs).values(**row)))


def let_lease_run_out(catalogue: Catalogue) -> None:
    """As if every worker had been silent for a minute."""
    late = update(schema.jobs).values(lease_expires_at=in_future(-60))
    catalogue.write(lambda connection: connection.execute(late))


class Handler:
    """Counts its calls and does what it is told."""

    def __init__(self, outcome: str | Exception = "succeeded") -> None:
        self.outcome = outcome
        self.ran: list[str] = []
        self.started = threading.Event()
        self.release = threading.Event()
        self.release.set()

    def run(self, job: Job, context: JobContext) -> str:
        self.ran.append(job.job_id)
        self.started.set()
        context.report_stage("working")
        while not self.release.wait(0.01):
            context.check()
        context.check()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def runner(jobs: Jobs, handler: Handler, *, workers: int = 1, lease_s: float = 30.0) -> JobRunner:
    """A running runner for jobs of kind `work`."""
    started = JobRunner(jobs, {"work": handler}, workers=workers, lease_s=lease_s, owner="here")
    started.start()
    return started


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


def test_a_running_job_stops_at_its_next_check(catalogue: Catalogue, jobs: Jobs) -> None:
    """The handler is told by an exception; the state is written by the runner."""
    handler = Handler()
    handler.release.clear()
    add(catalogue, "a")
    running = runner(jobs, handler)
    handler.started.wait(10)
    assert jobs.cancel("a").state == "running"
    wait_for(lambda: jobs.get("a").state == "cancelled")
    running.close()


@pytest.mark.parametrize(
    ("outcome", "state", "code"),
    [
        ("succeeded", "succeeded", None),
        ("partial", "partial", None),
        (Unavailable("no index", code="index_unavailable"), "failed", "index_unavailable"),
        (ZeroDivisionError("oops"), "failed", "internal_error"),
    ],
)
def test_every_end_is_a_terminal_state(
    catalogue: Catalogue, jobs: Jobs, outcome: str | Exception, state: str, code: str | None
) -> None:
    """Also that of a handler with a mistake in it; the worker goes on."""
    add(catalogue, "a")
    add(catalogue, "b")
    running = runner(jobs, Handler(outcome))
    wait_for(lambda: jobs.get("b").state == state)
    running.close()
    assert (jobs.get("a").state, jobs.get("a").error_code, jobs.get("a").stage) == (state, code, "working")


def test_a_shutdown_puts_the_job_back_without_an_attempt(catalogue: Catalogue, jobs: Jobs) -> None:
    """Restarting the service ten times during a long job is no crash."""
    add(catalogue, "a")
    for _ in range(7):
        handler = Handler()
        handler.release.clear()
        running = runner(jobs, handler)
        handler.started.wait(10)
        running.close()
        assert jobs.get("a").state == "queued"


@pytest.mark.parametrize("outcome", [Unavailable("the parser pool is closed"), RuntimeError("closed under me")])
def test_what_fails_during_a_shutdown_has_not_failed(catalogue: Catalogue, jobs: Jobs, outcome: Exception) -> None:
    """Parts that are closing make handlers fail; the next start goes on with the job."""

    class Closing(Handler):
        def run(self, job: Job, context: JobContext) -> str:
            self.started.set()
            self.release.wait(10)
            raise outcome

    handler = Closing()
    handler.release.clear()
    add(catalogue, "a")
    running = runner(jobs, handler)
    handler.started.wait(10)
    closing = threading.Thread(target=running.close)
    closing.start()
    wait_for(running._stopping.is_set)
    handler.release.set()
    closing.join()
    assert jobs.get("a").state == "queued"


def test_a_live_worker_keeps_its_lease(catalogue: Catalogue, jobs: Jobs) -> None:
    """A job many times as long as the lease is run once."""
    handler = Handler()
    handler.release.clear()
    add(catalogue, "a")
    running = runner(jobs, handler, workers=2, lease_s=0.15)
    threading.Event().wait(0.6)
    handler.release.set()
    wait_for(lambda: jobs.get("a").state == "succeeded")
    running.close()
    assert handler.ran == ["a"]


def test_no_notice_is_missed(catalogue: Catalogue, jobs: Jobs) -> None:
    """Four workers, sixty jobs in bursts: all are run, though nobody ever waits for a lease to run out."""
    handler = Handler()
    running = runner(jobs, handler, workers=4, lease_s=1000)
    for number in range(30):
        add(catalogue, f"{number}-a")
        add(catalogue, f"{number}-b")
        running.notify()
        if number % 10 == 0:
            wait_for(lambda expected=2 * number + 2: len(handler.ran) == expected)  # type: ignore[misc]
    wait_for(lambda: len(handler.ran) == 60)
    running.close()
    assert len(set(handler.ran)) == 60


class FailingJobs(Jobs):
    """A queue whose disk is full for a while."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self.failures = 2

    def claim(self, *arguments: object) -> Job | None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the disk is full")
        return super().claim(*arguments)  # type: ignore[arg-type]

    def heartbeat(self, job_pk: int, lease_s: float) -> None:
        raise Unavailable("the disk is full")


def test_workers_survive_an_unavailable_catalogue(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They log, wait and go on; a missed heartbeat does not end the job."""
    monkeypatch.setattr("ingest.jobs._RETRY_S", 0.01)
    jobs = FailingJobs(catalogue)
    handler = Handler()
    handler.release.clear()
    add(catalogue, "a")
    running = runner(jobs, handler, lease_s=0.3)
    handler.started.wait(10)
    wait_for(lambda: "no heartbeat for job a" in caplog.text)
    handler.release.set()
    wait_for(lambda: jobs.get("a").state == "succeeded")
    running.close()
    assert "the job queue cannot be used" in caplog.text


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
    assert service.jobs.retry(job.job_id).state == "queued"
    service.runner.notify()
    retried = finished(service, job.job_id)
    assert parser.parsed == ["a.txt"]
    assert retried.state == "partial"
    assert service.documents.get(collection, "a.txt").status == "ready"
    with pytest.raises(Conflict) as caught:
        service.jobs.retry(job.job_id)
    assert caught.value.code == "nothing_to_retry"


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
