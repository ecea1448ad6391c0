"""From errors to exit statuses, in one place."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from api.cli.output import printable
from ingest.errors import CitewellError, DeadlineExceeded, Overloaded, StorageFull, Unauthorized, Unavailable

WRONG_INPUT = 2
UNAVAILABLE = 3

_UNAVAILABLE_CODES = frozenset({"data_directory_in_use"})


class CommandGroup(TyperGroup):
    """Tells expected errors in a line or two on stderr and ends with their status; anything else is a bug and shows."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CitewellError as failure:
            typer.echo(_told(failure), err=True)
            raise typer.Exit(exit_status(failure)) from failure


def exit_status(failure: CitewellError) -> int:
    """3 where the same command may succeed once a component is back, 2 where the command itself is wrong."""
    component = isinstance(failure, Unavailable | StorageFull | Overloaded | DeadlineExceeded)
    server = getattr(failure, "status", 0)
    if component or server >= 500 or server == 429 or failure.code in _UNAVAILABLE_CODES:
        return UNAVAILABLE
    return WRONG_INPUT


def _told(failure: CitewellError) -> str:
    lines = [f"citewell: {failure.message} ({failure.code})"]
    lines += [f"  {problem.field}: {problem.message}" for problem in failure.problems]
    if failure.code == Unauthorized.code:
        lines.append("  give the key with --key, or as CITEWELL_KEY in the environment")
    return printable("\n".join(lines))
