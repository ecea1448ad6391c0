"""`citewell ingest DIR --sync`: a collection in step with a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from api.cli.errors import WRONG_INPUT
from api.cli.output import print_json, print_table
from api.cli.progress import cancelled_of, failures_of, progress_of_jobs, report_ingestion, wait_for_jobs
from ingest.errors import InvalidInput

if TYPE_CHECKING:
    from api.client import Client, FolderPlan, FolderSync, Job, Receipt, Submission

_PURGE_WAIT_S = 60.0


def synchronise(
    client: Client,
    paths: Sequence[Path],
    *,
    collection: str,
    origin: str | None,
    dry_run: bool,
    as_json: bool,
    metadata: Mapping[str, Any] | None,
    access: Sequence[str] | None,
    password: str | None,
) -> None:
    """Show the plan, and unless `dry_run` do it: first what comes, then what goes."""
    from api.client import FolderSync

    if len(paths) != 1:
        raise InvalidInput("--sync takes one folder; give the folder above them", code="invalid_usage")
    folder = FolderSync(client, paths[0], collection=collection, origin=origin)
    plan = folder.plan()
    if dry_run:
        print_json({"plan": plan.as_json()}) if as_json else _print_plan(plan)
        return
    everything = metadata is not None or access is not None
    submissions, jobs = _send(client, folder, plan, everything, metadata=metadata, access=access, password=password)
    receipts = [client.wait_for_receipt(one["receipt_id"], timeout_s=_PURGE_WAIT_S) for one in folder.remove(plan)]
    failures = [failure for job in jobs for failure in failures_of(client, job)]
    if as_json:
        done = {"submissions": submissions, "jobs": jobs, "failures": failures, "receipts": receipts}
        print_json({"plan": plan.as_json(), **done})
    else:
        report_ingestion(submissions, jobs, failures, sum(cancelled_of(client, job) for job in jobs))
        _report_rest(plan, receipts, everything=everything)
    if jobs and all(job["state"] not in ("succeeded", "partial") for job in jobs):
        raise typer.Exit(WRONG_INPUT)


def _send(
    client: Client, folder: FolderSync, plan: FolderPlan, everything: bool, **attributes: Any
) -> tuple[list[Submission], list[Job]]:
    with progress_of_jobs() as progress:
        submissions = list(folder.send(plan, everything=everything, **attributes))
        return submissions, wait_for_jobs(client, [one["job_id"] for one in submissions], progress)


def _print_plan(plan: FolderPlan) -> None:
    rows = [
        (action, document_id) for action, ids in plan.as_json().items() if action != "unchanged" for document_id in ids
    ]
    print_table(["Would", "Document"], rows)
    typer.echo(_counts(plan), err=True)


def _report_rest(plan: FolderPlan, receipts: Sequence[Receipt], *, everything: bool) -> None:
    typer.echo(_counts(plan))
    if plan.failed:
        typer.echo(f"left as they are, because they failed before: {', '.join(plan.failed[:10])}", err=True)
    for receipt in receipts:
        typer.echo(f"receipt {receipt['receipt_id']} of what was removed")
    if everything:
        typer.echo("metadata and access tags were applied to all files of the folder")


def _counts(plan: FolderPlan) -> str:
    counts = {name: len(ids) for name, ids in plan.as_json().items()}
    return (
        f"{counts['add']} added, {counts['update']} updated, {counts['adopt']} marked, "
        f"{counts['unchanged']} unchanged, {counts['failed']} failed before, {counts['remove']} removed, "
        f"{counts['corpora']} corpora"
    )
