"""`citewell ingest`: files and folders into a collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.errors import WRONG_INPUT
from api.cli.output import one_line, print_json, print_table
from api.cli.progress import progress_of_jobs, wait_for_jobs

if TYPE_CHECKING:
    from api.client import Client, Job, JobDocument, Submission


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders. A folder is taken with all below it but hidden files; "
            "a document is named by its path below the folder.",
            metavar="PATH…",
            show_default=False,
        ),
    ],
    metadata: Annotated[
        str | None,
        typer.Option(
            help="""Facts about all the files, such as '{"source": "Finance", "year": 2025}'.""", metavar="JSON"
        ),
    ] = None,
    access: Annotated[
        list[str] | None,
        typer.Option(help="Only keys with this tag see the files; may be given several times.", metavar="TAG"),
    ] = None,
    password: Annotated[str | None, typer.Option(help="Opens encrypted files; it is not stored.")] = None,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Ingest documents and wait until they can be searched.

    A collection that does not exist is made. What is already there, byte for byte, is left as it is. The exit status
    is 2 if no document could be ingested.
    """
    from api.client import find_files

    facts = options.json_object(metadata, "--metadata")
    files = find_files(paths)
    with connect(url, data_dir, key, create=True) as client, progress_of_jobs() as progress:
        _make_collection(client, collection)
        submissions = []
        for submission in client.upload_all(
            files, collection=collection, metadata=facts, access=access, password=password
        ):
            submissions.append(submission)
        jobs = wait_for_jobs(client, [submission["job_id"] for submission in submissions], progress)
        failures = [failure for job in jobs for failure in _failures(client, job)]
    if as_json:
        print_json({"submissions": submissions, "jobs": jobs, "failures": failures})
    else:
        _report(submissions, jobs, failures)
    if all(job["state"] not in ("succeeded", "partial") for job in jobs):
        raise typer.Exit(WRONG_INPUT)


def _make_collection(client: Client, name: str) -> None:
    from api.client import ProblemError

    try:
        client.collection(name)
    except ProblemError as problem:
        if problem.code != "collection_not_found":
            raise
        client.put_collection(name)
        typer.echo(f"collection {name} is new", err=True)


def _failures(client: Client, job: Job) -> list[JobDocument]:
    return list(client.job_documents(job["job_id"], state="failed")) if job["failed"] else []


def _report(submissions: Sequence[Submission], jobs: Sequence[Job], failures: Sequence[JobDocument]) -> None:
    unchanged = sum(
        document["status"] == "unchanged" for submission in submissions for document in submission["documents"]
    )
    succeeded = sum(job["done"] - job["failed"] for job in jobs) - unchanged
    typer.echo(f"{succeeded} ingested, {unchanged} unchanged, {len(failures)} failed")
    for job in jobs:
        if error := job["error"]:
            typer.echo(f"job {job['job_id']} {job['state']}: {one_line(error['message'])} ({error['code']})", err=True)
    if failures:
        rows = [(document["document_id"], *_reason(document)) for document in failures]
        print_table(["Failed document", "Code", "Reason"], rows, err=True)


def _reason(document: JobDocument) -> tuple[str, str]:
    error = document["error"]
    return (error["code"], error["message"]) if error else ("unknown", "")
