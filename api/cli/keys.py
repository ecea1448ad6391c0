"""`citewell keys`: who may do what. Works on the data directory itself: who may write there may make keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import data_directory
from api.cli.output import print_json, print_table

if TYPE_CHECKING:
    from api.keys import Keys

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


class Scope(StrEnum):
    """What a key may do: search and ask; also send and delete documents; everything."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to remember the key by.", show_default=False)],
    scope: Annotated[
        list[Scope],
        typer.Option(help="read: search and ask; write: send and delete documents; admin: everything. Repeatable."),
    ] = [Scope.READ],  # noqa: B006 - typer copies it
    collection: Annotated[
        list[str] | None,
        typer.Option(help="Collection that the key may use, by default all. Repeatable.", metavar="NAME"),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            help="Of documents with access tags the key sees those with this one, by default all. Repeatable.",
            metavar="TAG",
        ),
    ] = None,
    as_json: options.Json = False,
    data_dir: options.DataDir = None,
) -> None:
    """Create a key and print its secret, which is shown this once and kept nowhere.

    A running server knows the key at once; from the first key on, every caller needs one.
    """
    with _keys(data_dir) as keys:
        key_id, secret = keys.create(name, scopes=[one.value for one in scope], collections=collection, tags=tag)
    print_json({"key_id": key_id, "key": secret}) if as_json else typer.echo(secret)


@app.command("list")
def list_keys(as_json: options.Json = False, data_dir: options.DataDir = None) -> None:
    """List the keys, without their secrets."""
    with _keys(data_dir) as keys:
        found = keys.list()
    if as_json:
        print_json([asdict(key) for key in found])
        return
    columns = ["Key", "Name", "Scopes", "Collections", "Tags", "Created", "Revoked"]
    print_table(
        columns,
        [
            (
                key.key_id,
                key.name,
                " ".join(key.scopes),
                _some_or_all(key.collections),
                _some_or_all(key.tags),
                key.created_at,
                key.revoked_at,
            )
            for key in found
        ],
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="Its id, as `citewell keys list` shows it.", show_default=False)],
    data_dir: options.DataDir = None,
) -> None:
    """Revoke a key: from now on it opens nothing."""
    with _keys(data_dir) as keys:
        keys.revoke(key_id)
    typer.echo(f"Revoked {key_id}.")


@contextmanager
def _keys(data_dir: Path | None) -> Iterator[Keys]:
    from api.keys import Keys
    from ingest.catalogue import Catalogue

    catalogue = Catalogue(data_directory(data_dir) / "catalogue.sqlite")
    try:
        yield Keys(catalogue)
    finally:
        catalogue.close()


def _some_or_all(names: tuple[str, ...] | None) -> str:
    return "all" if names is None else " ".join(names)
