"""`citewell eval fit-fusion`: how much vectors and words count beside each other, by a question set of one's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import options
from api.cli.connection import connect, data_directory
from api.cli.output import print_json, print_table

if TYPE_CHECKING:
    from api.client import Client
    from eval.fusion_questions import FusionFit


def fit_fusion(
    question_set: Annotated[
        Path, typer.Argument(help="Question set: a .jsonl or .jsonl.gz file.", exists=True, dir_okay=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="File for the weights, by default fusion.json in the data directory.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write the weights even if they are no better.")] = False,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Fit how vector and lexical scores are added; the weights go where the service reads them at its next start.

    They are written if questions that they were not fitted on are ranked better than now; else it ends with 4. They
    belong to the embedding model, so they count in every collection that uses it. A certificate is void afterwards.
    """
    path = out or data_directory(data_dir) / "fusion.json"
    with connect(url, data_dir, key) as client:
        embedder = client.collection(collection)["embedding_model"]
        fit = _fit(client, question_set, collection, embedder, path)
    written = fit.is_better or force
    if written:
        _write(path, embedder, fit)
    if as_json:
        print_json({**asdict(fit), "embedding_model": embedder, "written": str(path) if written else None})
    else:
        _print(fit, path, written)
    raise typer.Exit(0 if written else 4)


def _fit(client: Client, question_set: Path, collection: str, embedder: str, path: Path) -> FusionFit:
    from api.settings import SHIPPED_DATA
    from eval.fusion_fit import DEPTH
    from eval.fusion_questions import Mode, fit_collection
    from eval.question_sets import load_question_set
    from ingest.models.profiles import profile_of
    from retrieve import FusionTable

    def search(question: str, mode: Mode) -> list[Any]:
        found = client.search(question, collection=collection, top_k=DEPTH, mode=mode, rerank=False)
        return list(found["hits"])

    return fit_collection(
        load_question_set(question_set).questions,
        search,
        embedder=embedder,
        languages=profile_of(embedder).languages,
        table=FusionTable.load([SHIPPED_DATA / "models" / "fusion.json", path]),
    )


def _write(path: Path, embedder: str, fit: FusionFit) -> None:
    """Beside the weights of other models that are there; whole or not at all."""
    table = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    table[embedder] = {"vector": fit.weights.vector, "lexical": fit.weights.lexical}
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _print(fit: FusionFit, path: Path, written: bool) -> None:
    rows = [
        (name, f"{value:.3f}")
        for name, value in (
            ("vectors alone", fit.vector),
            ("words alone", fit.lexical),
            ("as it serves now", fit.present),
            ("fitted, on unseen halves", fit.fitted),
        )
    ]
    print_table(("ranking", f"MRR@10 of {fit.questions}"), rows)
    typer.echo(
        f"{path} is written; restart the service to use it"
        if written
        else "the fitted weights are no better than the present ones; nothing is written (--force writes them)"
    )
