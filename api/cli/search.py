"""`citewell search`: passages by rank."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.output import print_json
from api.cli.passages import print_hits


def search(
    query: Annotated[str, typer.Argument(help="What to look for, in quotes.", show_default=False)],
    top_k: Annotated[int, typer.Option(help="Passages to return.", min=1)] = 10,
    mode: Annotated[
        Literal["hybrid", "vector", "lexical"],
        typer.Option(help="Search by meaning (vector), by words (lexical), or by both."),
    ] = "hybrid",
    rerank: Annotated[bool, typer.Option(help="Let the reranker, where there is one, order the best.")] = True,
    filter: options.Filter = None,  # noqa: A002 - the contract's name
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Search the documents: prints the best passages with the score of every stage."""
    wanted = options.json_object(filter, "--filter")
    with connect(url, data_dir, key) as client:
        result = client.search(query, collection=collection, top_k=top_k, mode=mode, rerank=rerank, filter=wanted)
    if as_json:
        print_json(result)
    elif result["hits"]:
        print_hits(result["hits"])
    else:
        typer.echo("No passage matches.", err=True)
