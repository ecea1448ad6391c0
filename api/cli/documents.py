"""`citewell documents`: list, show, read and delete."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.groups import ListByDefault
from api.cli.output import one_line, print_json, print_table, printable

if TYPE_CHECKING:
    from api.client import Document

_PURGE_WAIT_S = 60.0


app = typer.Typer(
    cls=ListByDefault, help="List the documents of a collection (`list` may be left out); show, read or delete them."
)

DocumentId = Annotated[str, typer.Argument(help="Its id, as `citewell documents` lists it.", show_default=False)]


@app.command("list")
def list_documents(
    status: Annotated[
        str | None, typer.Option(help="Only documents in this state: queued, indexing, ready or failed.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Most documents to list.", min=1)] = 1000,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """List documents in order of arrival: id, title, state, version, pages, chunks, credibility, error."""
    with connect(url, data_dir, key) as client:
        listed = list(islice(client.documents(collection=collection, status=status), limit))
    if as_json:
        print_json(listed)
        return
    columns = ["Document", "Title", "State", "Version", "Pages", "Chunks", "Credibility", "Error"]
    print_table(columns, [_row(document) for document in listed])


@app.command()
def show(
    document_id: DocumentId,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Show all that is known of a document."""
    with connect(url, data_dir, key) as client:
        document = client.document(document_id, collection=collection)
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        if value not in (None, [], {}):
            typer.echo(f"{name}: {_told(value)}")


@app.command()
def text(
    document_id: DocumentId,
    version: Annotated[int | None, typer.Option(help="By default the one that is searched.", min=1)] = None,
    collection: options.Collection = "default",
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Print the extracted text that the offsets of citations refer to."""
    with connect(url, data_dir, key) as client:
        extracted = client.document_text(document_id, collection=collection, version=version)
    typer.echo(printable(extracted) if sys.stdout.isatty() else extracted, nl=sys.stdout.isatty())


@app.command()
def delete(
    document_ids: Annotated[list[str], typer.Argument(help="Ids of the documents.", show_default=False)],
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Delete documents with all that was made of them, and print what was removed.

    No search that begins afterwards returns them; attachments go with their mail.
    """
    with connect(url, data_dir, key) as client:
        receipt = client.delete_documents(document_ids, collection=collection)
        receipt = client.wait_for_receipt(receipt["receipt_id"], timeout_s=_PURGE_WAIT_S)
    if as_json:
        print_json(receipt)
        return
    removed = ", ".join(f"{count} {name}" for name, count in receipt["removed"].items() if count)
    typer.echo(f"Deleted; receipt {receipt['receipt_id']}: {removed}")


def _row(document: Document) -> tuple[object, ...]:
    error = document["error"]
    return (
        document["document_id"],
        document["title"],
        document["status"],
        document["version"],
        document["pages"],
        document["chunks"],
        f"{document['credibility']['score']:.2f}",
        error and error["code"],
    )


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(part)}" for name, part in value.items() if part is not None)
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))
