"""Options that commands share, so that each means and is called the same everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ingest.errors import InvalidInput

_CONNECTION = "Where the documents are"

Collection = Annotated[str, typer.Option(help="Collection to work on.", metavar="NAME")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, as the HTTP interface gives it.")]
Url = Annotated[
    str | None,
    typer.Option(
        envvar="CITEWELL_URL",
        help="Talk to the server at this address, not to the owner of the data directory.",
        metavar="URL",
        rich_help_panel=_CONNECTION,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="CITEWELL_DATA_DIR",
        help="Data directory, by default .citewell; if a server runs on it, the command talks to that server.",
        metavar="FOLDER",
        file_okay=False,
        rich_help_panel=_CONNECTION,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="CITEWELL_KEY",
        help="API key, where the server wants one.",
        metavar="KEY",
        show_envvar=True,
        rich_help_panel=_CONNECTION,
    ),
]
Password = Annotated[str | None, typer.Option(help="Opens encrypted files; it is not stored.")]
Filter = Annotated[
    str | None,
    typer.Option(
        help="""Only documents that match, for example '{"language": "en"}' or '{"metadata.year": {"$gte": 2024}}'.""",
        metavar="JSON",
    ),
]


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """The object that an option's text spells. Raises `InvalidInput`."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as failure:
        raise InvalidInput(f"{option} is not JSON: {failure}", code="invalid_json") from failure
    if not isinstance(value, dict):
        raise InvalidInput(f"{option} must be a JSON object, such as {{}}, not {text[:80]}", code="invalid_json")
    return value
