"""The command line. Knows the client, not how anything works inside; heavy libraries load only where they are used."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from api.cli.errors import CommandGroup

__all__ = ["application", "main"]

_COMMANDS = ("serve", "ingest", "ask", "search", "reindex", "documents", "jobs", "keys", "eval", "train", "doctor")
_MODULES = {"eval": "evaluate"}


def application(names: Iterable[str] = _COMMANDS) -> typer.Typer:
    """The command line with these commands, in this order; each is a function, or an `app`, of a module of its own."""
    app = typer.Typer(
        cls=CommandGroup,
        name="citewell",
        help="Ask your own documents: answers with checked citations, or a refusal with its reason.",
        epilog="Exit status: 0 done, 2 wrong usage or input, 3 a component is unavailable.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nothing)
    for name in names:
        module = import_module(f"api.cli.{_MODULES.get(name, name)}")
        group = getattr(module, "app", None)
        if group is None:
            app.command()(getattr(module, name))
        else:
            app.add_typer(group, name=name)
    return app


def main() -> None:
    """The console script `citewell`."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # a command shows one bar, its own
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads of a model that wait leave the processor to others
    named = [name for name in sys.argv[1:2] if name in _COMMANDS]
    application(named or _COMMANDS)()  # one command starts twice as fast without the others


def _nothing() -> None:
    """Keeps one command a command of `citewell`, which it would otherwise be the whole of."""
