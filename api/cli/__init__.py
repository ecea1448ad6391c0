"""The command line. Knows the client, not how anything works inside; heavy libraries load only where they are used."""

from __future__ import annotations

import os

import typer

from api.cli import documents, evaluate, jobs, keys
from api.cli.ask import ask
from api.cli.doctor import doctor
from api.cli.errors import CommandGroup
from api.cli.ingest import ingest
from api.cli.reindex import reindex
from api.cli.search import search
from api.cli.serve import serve
from api.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    cls=CommandGroup,
    name="citewell",
    help="Ask your own documents: answers with checked citations, or a refusal with its reason.",
    epilog="Exit status: 0 done, 2 wrong usage or input, 3 a component is unavailable.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(ingest)
app.command()(ask)
app.command()(search)
app.command()(reindex)
app.add_typer(documents.app, name="documents")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(evaluate.app, name="eval")
app.command()(train)
app.command()(doctor)


def main() -> None:
    """The console script `citewell`."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a command shows one bar, its own
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads of a model that wait leave the processor to others
    app()
