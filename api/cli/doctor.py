"""`citewell doctor`: is everything there, and does everything agree?"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import data_directory, read_settings
from api.cli.errors import UNAVAILABLE
from api.cli.output import print_json, print_table, status

if TYPE_CHECKING:
    from api.doctor.diagnosis import Diagnosis


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
    with status("Checking …"):
        diagnosis = _diagnose(data_directory(data_dir), deep=deep or repair, repair=repair)
    if as_json:
        print_json(asdict(diagnosis))
    else:
        _print(diagnosis)
    if diagnosis.failed:
        raise typer.Exit(UNAVAILABLE)


def _diagnose(folder: Path, *, deep: bool, repair: bool) -> Diagnosis:
    from api.doctor.diagnosis import Diagnosis
    from api.doctor.installation import check_installation

    installation = Diagnosis(tuple(check_installation()))
    if installation.failed:
        return installation
    from api.doctor.examination import examine

    rest = examine(read_settings(data_dir=folder), deep=deep, repair=repair)
    return replace(rest, checks=installation.checks + rest.checks)


def _print(diagnosis: Diagnosis) -> None:
    for done in diagnosis.repaired:
        typer.echo(f"Repaired: {done}")
    rows = [(check.state, check.name, check.detail, check.repair) for check in diagnosis.checks]
    print_table(["State", "Check", "Found", "What to do"], rows)
