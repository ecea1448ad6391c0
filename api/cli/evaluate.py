"""`citewell eval`: ask a question set, and say how well it went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli import options
from api.cli.connection import data_directory, read_settings
from api.cli.output import print_json, print_table, status

app = typer.Typer(help="Run question sets against a collection.", no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """Run question sets against a collection."""


@app.command()
def run(
    question_set: Annotated[
        Path, typer.Argument(help="Question set, .jsonl or .jsonl.gz.", exists=True, dir_okay=False, show_default=False)
    ],
    repeats: Annotated[int, typer.Option(help="How often each phrasing is asked.", min=1, max=100)] = 1,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    data_dir: options.DataDir = None,
) -> None:
    """Ask every question and paraphrase, keep one row an ask, and print the rates.

    Opens the data directory itself: stop a service that runs on it first.
    """
    import asyncio

    from api.bootstrap import open_service
    from eval.question_sets import load_question_set
    from eval.runs import number_of_asks, run_question_set, store_run, summarise

    questions = load_question_set(question_set)
    with open_service(read_settings(data_dir=data_directory(data_dir))) as service:
        asked = service.collections.get(collection)
        with status(f"asking {number_of_asks(questions, repeats)} questions"):
            rows = asyncio.run(
                run_question_set(questions, answerer=service.answerer, collection=asked, repeats=repeats)
            )
        metrics = summarise(rows)
        evaluation_id = store_run(
            service.catalogue,
            rows,
            metrics,
            questions=questions,
            collection=asked,
            fingerprint=service.answerer.fingerprint(asked.live_generation),
            repeats=repeats,
            key_id=None,
        )
    if as_json:
        print_json({"evaluation_id": evaluation_id, "metrics": metrics})
    else:
        print_table(["Measure", "Value"], [(name, _shown(value)) for name, value in metrics.items()])


def _shown(value: float | int | None) -> str:
    if value is None:
        return "unscored"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
