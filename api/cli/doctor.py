"""`citewell doctor`: is everything there, and does everything agree?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import data_directory, read_settings
from api.cli.errors import UNAVAILABLE
from api.cli.output import print_json, print_table, status

if TYPE_CHECKING:
    from api.doctor import Diagnosis


def doctor(
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also prove that catalogue, vectors, postings and originals agree."),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended; no server may be running. Includes --deep.")
    ] = False,
    as_json: options.Json = False,
    data_dir: options.DataDir = None,
) -> None:
    """Check the installation and the data directory, and say what to do about what is wrong.

    The exit status is 3 if a check failed; warnings do not count.
    """
    settings = read_settings(data_dir=data_directory(data_dir))
    with status("Checking …"):
        from api.doctor import diagnose

        diagnosis = diagnose(settings, deep=deep or repair, repair=repair)
    if as_json:
        print_json(asdict(diagnosis))
    else:
        _print(diagnosis)
    if diagnosis.failed:
        raise typer.Exit(UNAVAILABLE)


def _print(diagnosis: Diagnosis) -> None:
    for done in diagnosis.repaired:
        typer.echo(f"Repaired: {done}")
    rows = [(check.state, check.name, check.detail, check.repair) for check in diagnosis.checks]
    print_table(["State", "Check", "Found", "What to do"], rows)
