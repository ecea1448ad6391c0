"""Shows how far jobs have come (a bar for each stage on a terminal, plain lines elsewhere) and how they ended."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import typer

from api.cli.output import one_line, print_table

if TYPE_CHECKING:
    from api.client import Client, Job, JobDocument, Submission

_ENDED = frozenset({"succeeded", "partial", "failed", "cancelled"})
_STAGES = ("parsing", "chunking", "embedding", "indexing")


class Progress(Protocol):
    """Told what has become of the jobs, again and again."""

    def __call__(self, jobs: Collection[Job]) -> None: ...


@contextmanager
def progress_of_jobs() -> Iterator[Progress]:
    """On a terminal bars that vanish at the end; elsewhere a line whenever more documents have ended."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bars(bars)


def wait_for_jobs(client: Client, job_ids: Sequence[str], progress: Progress) -> list[Job]:
    """Every job once it has ended; the progress is that of all together. An interrupted command names what goes on."""
    jobs = {job_id: client.job(job_id) for job_id in job_ids}
    progress(jobs.values())

    def tell(job: Job) -> None:
        jobs[job["job_id"]] = job
        progress(jobs.values())

    try:
        for job_id, seen in list(jobs.items()):
            if _is_open(seen):
                client.wait_for_job(job_id, progress=tell)
        return list(jobs.values())
    except KeyboardInterrupt:
        for job_id, job in jobs.items():
            if _is_open(job):
                typer.echo(f"{job_id} is not lost, the service goes on with it: see `citewell jobs`", err=True)
        raise


def _is_open(job: Job) -> bool:
    return job["state"] not in _ENDED


def failures_of(client: Client, job: Job) -> list[JobDocument]:
    """The documents of a job that failed."""
    return list(client.job_documents(job["job_id"], state="failed")) if job["failed"] else []


def cancelled_of(client: Client, job: Job) -> int:
    """How many documents of a job were cancelled with it; they count as done, but nothing was made of them."""
    if job["state"] != "cancelled":
        return 0
    return sum(1 for _ in client.job_documents(job["job_id"], state="cancelled"))


def report_ingestion(
    submissions: Sequence[Submission], jobs: Sequence[Job], failures: Sequence[JobDocument], cancelled: int
) -> None:
    unchanged = sum(
        document["status"] == "unchanged" for submission in submissions for document in submission["documents"]
    )
    succeeded = sum(job["done"] - job["failed"] for job in jobs) - unchanged - cancelled
    stopped = f", {cancelled} cancelled" if cancelled else ""
    typer.echo(f"{succeeded} ingested, {unchanged} unchanged, {len(failures)} failed{stopped}")
    for job in jobs:
        if error := job["error"]:
            typer.echo(f"job {job['job_id']} {job['state']}: {one_line(error['message'])} ({error['code']})", err=True)
    if failures:
        rows = [(document["document_id"], *_reason(document)) for document in failures]
        print_table(["Failed document", "Code", "Reason"], rows, err=True)
    for job in jobs:
        if job["failed"] or job["state"] == "cancelled":
            typer.echo(f"What failed or was cancelled can go again: citewell jobs retry {job['job_id']}", err=True)


def _reason(document: JobDocument) -> tuple[str, str]:
    error = document["error"]
    return (error["code"], error["message"]) if error else ("unknown", "")


class _Bars:
    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks = {stage: bars.add_task(stage.capitalize(), total=None) for stage in _STAGES}

    def __call__(self, jobs: Collection[Job]) -> None:
        total = sum(job["total"] for job in jobs)
        done = dict.fromkeys(_STAGES, 0)
        for job in jobs:
            for passed in job["stages"]:
                done[passed["stage"]] = done.get(passed["stage"], 0) + passed["done"]
        for stage, task in self._tasks.items():
            self._bars.update(task, completed=done[stage], total=total)


class _Lines:
    def __init__(self) -> None:
        self._last = (-1, -1)

    def __call__(self, jobs: Collection[Job]) -> None:
        counts = sum(job["done"] for job in jobs), sum(job["total"] for job in jobs)
        if counts != self._last:
            self._last = counts
            typer.echo(f"{counts[0]} of {counts[1]} documents", err=True)
