"""`citewell train`: train the embedded reranker and reader from public question sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Objective(StrEnum):
    """What is trained: one model for both uses, or one of them alone."""

    joint = "joint"
    reranker = "reranker"
    reader = "reader"


def train(
    objective: Annotated[Objective, typer.Argument(help="Both uses in one model, or one of them alone.")],
    data: Annotated[Path, typer.Option(help="Folder of the public sets.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder of the run: examples, checkpoints, and the adapter at the end.")],
    start: Annotated[Path | None, typer.Option(help="Go on from this adapter.", exists=True, file_okay=False)] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 7,
    limit: Annotated[int, typer.Option(help="Examples of each source, for a trial; 0 takes all.", min=0)] = 0,
    failures: Annotated[
        Path | None,
        typer.Option(help="Failures of your own service, as eval export-failures writes.", exists=True, dir_okay=False),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="A larger encoder to learn from: hub name (sentence-transformers/all-mpnet-base-v2) or folder. "
            "What it says is kept in OUT/stage-taught: some 12 GB for the whole recipe."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Torch device: auto, cpu, cuda.")] = "auto",
) -> None:
    """Train on the training parts of the sets. A run that was killed goes on where it stopped."""
    from eval.finetune.recipe import train as run

    run(
        objective.value,
        data,
        out,
        seed=seed,
        limit=limit,
        start=start,
        device=device,
        failures=failures,
        teacher=teacher,
    )
    typer.echo(f"trained into {out}")
