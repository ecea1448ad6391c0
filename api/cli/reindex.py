"""`citewell reindex`: build the index of a collection anew beside the live one, or go back to the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.errors import WRONG_INPUT
from api.cli.output import one_line, print_json, print_table
from api.cli.progress import progress_of_jobs, wait_for_jobs
from ingest.errors import InvalidInput

if TYPE_CHECKING:
    from api.client import Client, Job
    from api.client.types import CollectionChange


def reindex(
    collection: options.Collection = "default",
    embedding_model: Annotated[str | None, typer.Option(help="Embed with this model.", metavar="NAME")] = None,
    chunk_tokens: Annotated[int | None, typer.Option(help="Most tokens in a chunk.", metavar="N")] = None,
    overlap_tokens: Annotated[int | None, typer.Option(help="Tokens that neighbours share.", metavar="N")] = None,
    gate: Annotated[
        str | None, typer.Option(help="Swap only if this question set is answered no worse.", metavar="QUESTIONS")
    ] = None,
    activate: Annotated[
        str | None, typer.Option(help="Instead, make this kept generation live again.", metavar="GENERATION")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Instead, list the collection's generations.")] = False,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Build an index anew, with other settings if any are given; the present one serves until the swap.

    The exit status is 2 if the re-index did not succeed; the present index is live still.
    """
    change: CollectionChange = {}
    if embedding_model is not None:
        change["embedding_model"] = embedding_model
    if chunk_tokens is not None:
        change["chunk_tokens"] = chunk_tokens
    if overlap_tokens is not None:
        change["overlap_tokens"] = overlap_tokens
    if (show or activate is not None) and (change or gate is not None):
        raise InvalidInput("--list and --activate go with no setting and no gate")
    with connect(url, data_dir, key) as client:
        if show:
            _list(client, collection, as_json=as_json)
            return
        if activate is None:
            job_id: str | None = client.reindex(collection, change, gate=gate)
        else:
            job_id = client.activate_generation(activate, collection=collection)["job_id"]
        job = None if job_id is None else _finish(client, job_id)
        live = client.collection(collection)["index_generation"]
    if as_json:
        print_json({"live": live, "job": job})
    elif job is None or job["state"] == "succeeded":
        typer.echo(f"Generation {live} is live.")
    else:
        error = job["error"]
        reason = f"{one_line(error['message'])} ({error['code']})" if error else job["state"]
        typer.echo(f"Not done: {reason}. Generation {live} is live still.", err=True)
    if job is not None and job["state"] != "succeeded":
        raise typer.Exit(WRONG_INPUT)


def _finish(client: Client, job_id: str) -> Job:
    with progress_of_jobs() as progress:
        return wait_for_jobs(client, [job_id], progress)[0]


def _list(client: Client, collection: str, *, as_json: bool) -> None:
    generations = client.generations(collection)
    if as_json:
        print_json(generations)
        return
    rows = [
        (one["generation"], one["state"], one["embedding_model"], f"{one['chunk_tokens']}/{one['overlap_tokens']}")
        for one in generations
    ]
    print_table(["Generation", "State", "Embedding model", "Chunk/overlap tokens"], rows)
