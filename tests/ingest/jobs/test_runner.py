"""The workers: each job once, a lease that is kept, a terminal state whatever the handler does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ingest.catalogue import Catalogue
from ingest.errors import StorageFull, Unavailable
from ingest.jobs import Job, JobContext, JobRunner, Jobs
from tests.ingest.jobs.queued import add
from tests.ingest.support import wait_for


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
    monkeypatch.setattr("ingest.jobs.runner._RETRY_S", 0.01)
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


def test_a_full_disk_puts_the_job_off(catalogue: Catalogue, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was accepted is done once there is room, however often it takes; that is no failed attempt."""
    monkeypatch.setattr("ingest.jobs.runner._FULL_DISK_WAIT_S", 0.0)

    class Filling(Handler):
        def run(self, job: Job, context: JobContext) -> str:
            self.ran.append(job.job_id)
            if len(self.ran) < 8:
                raise StorageFull("no room")
            return "succeeded"

    add(catalogue, "a")
    handler = Filling()
    running = runner(jobs, handler, lease_s=0.3)
    wait_for(lambda: jobs.get("a").state == "succeeded")
    running.close()
    assert len(handler.ran) == 8


def test_an_end_is_written_once_it_can_be(
    catalogue: Catalogue, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full for a moment just then: the job is not left running until its lease runs out."""
    monkeypatch.setattr("ingest.jobs.runner._RETRY_S", 0.01)
    end, refused = jobs.end, [StorageFull("no room")] * 3

    def end_later(*arguments: Any) -> None:
        if refused:
            raise refused.pop()
        end(*arguments)

    monkeypatch.setattr(jobs, "end", end_later)
    add(catalogue, "a")
    running = runner(jobs, Handler(), lease_s=1000)
    wait_for(lambda: jobs.get("a").state == "succeeded")
    running.close()
    assert "cannot be written yet" in caplog.text
