"""`citewell ingest`: files and folders into a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.errors import WRONG_INPUT
from api.cli.output import print_json
from api.cli.progress import cancelled_of, failures_of, progress_of_jobs, report_ingestion, wait_for_jobs
from api.cli.sync import synchronise
from ingest.errors import InvalidInput

if TYPE_CHECKING:
    from api.client import Client


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
    password: options.Password = None,
    sync: Annotated[
        bool,
        typer.Option(
            "--sync",
            help="Keep the collection in step with one folder: add, update, and delete what came from it and is gone.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what --sync would do.")] = False,
    origin: Annotated[
        str | None,
        typer.Option(help="What marks the folder's documents, by default its full path; for --sync.", metavar="NAME"),
    ] = None,
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
    if sync:
        with connect(url, data_dir, key, create=True) as client:
            if not dry_run:
                _make_collection(client, collection)
            synchronise(
                client,
                paths,
                collection=collection,
                origin=origin,
                dry_run=dry_run,
                as_json=as_json,
                metadata=facts,
                access=access,
                password=password,
            )
        return
    if dry_run or origin:
        raise InvalidInput("--dry-run and --origin belong to --sync", code="invalid_usage")
    files = find_files(paths)
    with connect(url, data_dir, key, create=True) as client, progress_of_jobs() as progress:
        _make_collection(client, collection)
        submissions = []
        for submission in client.upload_all(
            files, collection=collection, metadata=facts, access=access, password=password
        ):
            submissions.append(submission)
        jobs = wait_for_jobs(client, [submission["job_id"] for submission in submissions], progress)
        failures = [failure for job in jobs for failure in failures_of(client, job)]
        cancelled = sum(cancelled_of(client, job) for job in jobs)
    if as_json:
        print_json({"submissions": submissions, "jobs": jobs, "failures": failures})
    else:
        report_ingestion(submissions, jobs, failures, cancelled)
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
