"""`citewell jobs`: look after work under way."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.errors import WRONG_INPUT
from api.cli.following import wait_for_job
from api.cli.groups import ListByDefault
from api.cli.output import one_line, print_json, print_table
from api.cli.progress import progress_of_jobs, wait_for_jobs

if TYPE_CHECKING:
    from api.client import Job, JobDocument

app = typer.Typer(cls=ListByDefault, help="List jobs (`list` may be left out); show, watch, cancel or retry one.")


class State(StrEnum):
    """How a job may stand."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


JobId = Annotated[str, typer.Argument(help="Its id, such as job_9f….", show_default=False)]


@app.command("list")
def list_jobs(
    state: Annotated[
        list[State] | None, typer.Option(help="Only jobs in this state; may be given several times.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most jobs to list.", min=1)] = 20,
    collection: Annotated[
        str | None, typer.Option(help="Only jobs on this collection; by default on all.", metavar="NAME")
    ] = None,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """List jobs, newest first: id, kind, collection, state, documents done and failed, time of queueing, error."""
    with connect(url, data_dir, key) as client:
        listed = list(islice(client.jobs(collection=collection, states=state or ()), limit))
    if as_json:
        print_json(listed)
        return
    print_table(["Job", "Kind", "Collection", "State", "Done", "Failed", "Queued", "Error"], list(map(_row, listed)))


@app.command()
def watch(
    job_id: JobId,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Wait for the end of a job, and show meanwhile how far it is; interrupted, the job goes on.

    The exit status is 2 if it fails or is cancelled.
    """
    with connect(url, data_dir, key) as client:
        kind = client.job(job_id)["kind"]
        if kind == "ingest":
            with progress_of_jobs() as progress:
                (job,) = wait_for_jobs(client, [job_id], progress)
        else:
            job = wait_for_job(client, job_id, kind)
    _end(job, as_json)


@app.command()
def show(
    job_id: JobId,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Show how far a job has come, and which documents failed."""
    with connect(url, data_dir, key) as client:
        job = client.job(job_id)
        failures = list(client.job_documents(job_id, state="failed"))
    if as_json:
        print_json({**job, "failures": failures})
        return
    _print_job(job)
    print_table(["Failed document", "Code", "Reason"], [_failure_row(document) for document in failures])


@app.command()
def cancel(
    job_id: JobId,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Stop a job; what it has finished stays."""
    with connect(url, data_dir, key) as client:
        job = client.cancel_job(job_id)
    print_json(job) if as_json else _print_job(job)


@app.command()
def retry(
    job_id: JobId,
    password: options.Password = None,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Ingest the failed and cancelled documents of an ended job again, and wait for the end.

    The exit status is 2 if none of the job's documents could be ingested.
    """
    with connect(url, data_dir, key) as client, progress_of_jobs() as progress:
        client.retry_job(job_id, password=password)
        (job,) = wait_for_jobs(client, [job_id], progress)
    _end(job, as_json)


def _end(job: Job, as_json: bool) -> None:
    print_json(job) if as_json else _print_job(job)
    if job["state"] not in ("succeeded", "partial"):
        raise typer.Exit(WRONG_INPUT)


def _print_job(job: Job) -> None:
    stage = f" ({job['stage']})" if job["stage"] and job["state"] == "running" else ""
    ended = "done or cancelled" if job["state"] == "cancelled" else "done"
    counts = f"{job['done']} of {job['total']} documents {ended}, {job['failed']} failed"
    typer.echo(f"{job['job_id']}: {job['kind']}, {job['state']}{stage}; {counts}")
    if job["state"] == "running":
        typer.echo(", ".join(f"{one['stage']} {one['done']} of {one['total']}" for one in job["stages"]))
    if error := job["error"]:
        typer.echo(f"{one_line(error['message'])} ({error['code']})")


def _row(job: Job) -> tuple[object, ...]:
    state = f"{job['state']} ({job['stage']})" if job["stage"] and job["state"] == "running" else job["state"]
    done = f"{job['done']}/{job['total']}"
    error = job["error"]
    return (
        job["job_id"],
        job["kind"],
        job["collection"],
        state,
        done,
        job["failed"] or None,
        job["created_at"],
        error and error["code"],
    )


def _failure_row(document: JobDocument) -> tuple[object, ...]:
    error = document["error"]
    return document["document_id"], error and error["code"], error and error["message"]
