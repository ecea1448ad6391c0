"""`citewell keys`: who may do what."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.output import print_json, print_table

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to remember the key by.", show_default=False)],
    scope: Annotated[
        list[str] | None, typer.Option(help="What the key may do; may be given several times.", metavar="SCOPE")
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(
            help="Collection that the key may use, by default all; may be given several times.", metavar="NAME"
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="The key sees documents without access tags and those with this tag, by default all; "
            "may be given several times.",
            metavar="TAG",
        ),
    ] = None,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Create a key and print its secret, which is shown this once and stored nowhere."""
    with connect(url, data_dir, key, create=True) as client:
        made = client.create_key(name, scopes=scope, collections=collection, tags=tag)
    print_json(made) if as_json else typer.echo(made["key"])


@app.command("list")
def list_keys(
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """List the keys, without their secrets."""
    with connect(url, data_dir, key) as client:
        keys = list(client.keys())
    if as_json:
        print_json(keys)
        return
    rows = [
        (
            one["key_id"],
            one["name"],
            " ".join(one["scopes"]),
            _some_or_all(one["collections"]),
            _some_or_all(one["tags"]),
            one["revoked_at"],
        )
        for one in keys
    ]
    print_table(["Key", "Name", "Scopes", "Collections", "Tags", "Revoked"], rows)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Its id, as `citewell keys list` shows it.", show_default=False)],
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Revoke a key: from now on it opens nothing."""
    with connect(url, data_dir, key) as client:
        client.revoke_key(key_id)
    typer.echo(f"Revoked {key_id}.")


def _some_or_all(names: list[str] | None) -> str:
    return "all" if names is None else " ".join(names)
