"""`citewell jobs`: look after work under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.errors import WRONG_INPUT
from api.cli.output import one_line, print_json, print_table
from api.cli.progress import progress_of_jobs, wait_for_jobs

if TYPE_CHECKING:
    from api.client import Job, JobDocument

app = typer.Typer(help="Show, cancel or retry a job.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="Its id, such as job_9f….", show_default=False)]


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


def _failure_row(document: JobDocument) -> tuple[object, ...]:
    error = document["error"]
    return document["document_id"], error and error["code"], error and error["message"]
