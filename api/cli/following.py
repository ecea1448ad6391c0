"""Waits for one job of any kind, and shows how far it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from ingest.errors import CitewellError

if TYPE_CHECKING:
    from api.client import Client, Job

_LINES = 10


def follow_job(client: Client, job_id: str, what: str) -> Job:
    """The job once it has ended. Raises `CitewellError` with its code when it failed or was cancelled."""
    job = wait_for_job(client, job_id, what)
    if job["state"] not in ("succeeded", "partial"):
        error = job["error"]
        message = error["message"] if error else f"job {job_id} was {job['state']}"
        raise CitewellError(message, code=error["code"] if error else f"job_{job['state']}")
    return job


def wait_for_job(client: Client, job_id: str, what: str) -> Job:
    """The job once it has ended, however it did."""
    if not sys.stderr.isatty():
        return client.wait_for_job(job_id, progress=_Lines(what))
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(job: Job) -> None:
            bar.update(task, description=job["stage"] or what, completed=job["done"], total=job["total"] or None)

        return client.wait_for_job(job_id, progress=show)


class _Lines:
    """A line for every tenth of the work."""

    def __init__(self, what: str) -> None:
        self._what, self._told = what, 0

    def __call__(self, job: Job) -> None:
        tenth = _LINES * job["done"] // max(job["total"], 1)
        if tenth > self._told:
            self._told = tenth
            typer.echo(f"{self._what}: {job['done']} of {job['total']}", err=True)
