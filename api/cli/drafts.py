"""`citewell eval new`, `review` and `export-failures`: questions for a person to check, and failures to train on."""

from __future__ import annotations

import gzip
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.output import print_json, printable
from ingest.errors import InvalidInput

if TYPE_CHECKING:
    from eval.question_sets import EvaluationQuestion


class Source(StrEnum):
    """What drafts are made of."""

    rules = "rules"
    model = "model"
    feedback = "feedback"


def new(
    out: Annotated[Path, typer.Argument(help="File of drafts to write (.jsonl).", dir_okay=False)],
    source: Annotated[
        Source, typer.Option(help="Rules over the documents, a language model that reads them, or users' feedback.")
    ] = Source.rules,
    count: Annotated[int, typer.Option(help="How many drafts at most.", min=1, max=500)] = 60,
    seed: Annotated[int, typer.Option(help="Which documents and sentences are drawn.", min=0)] = 1,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Draft a question set from a collection: plain questions, and some whose evidence is removed, noisy, edited or in
    two documents. A person has to check them: citewell eval review.
    """
    with connect(url, data_dir, key) as client:
        drafts = client.drafts(collection=collection, source=source.value, count=count, seed=seed)
    out.write_bytes(drafts)
    written = drafts.count(b"\n")
    told = {"drafts": written, "file": str(out)}
    print_json(told) if as_json else typer.echo(f"{written} drafts in {out}; check them: citewell eval review {out}")


def review(
    drafts: Annotated[Path, typer.Argument(help="File of drafts, changed in place.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Question set of what was accepted (.jsonl).", dir_okay=False)],
) -> None:
    """Walk through pending drafts: accept, reject or skip each one; then write what was accepted as a question set."""
    from eval.drafting.review import accepted, counts, is_pending
    from eval.question_sets import QuestionSet, dump_question_set, load_question_set

    questions = list(load_question_set(drafts).questions)
    for place, question in enumerate(questions):
        if is_pending(question):
            judged = _asked(question)
            if judged is None:
                break
            questions[place] = judged
            drafts.write_text(dump_question_set(QuestionSet(tuple(questions))), encoding="utf-8")
    kept = accepted(questions)
    out.write_text(dump_question_set(kept), encoding="utf-8")
    told = ", ".join(f"{number} {state}" for state, number in counts(questions).items())
    typer.echo(f"{told}; {len(kept.questions)} questions in {out}")


def export_failures(
    out: Annotated[Path, typer.Argument(help="File of examples to write (.jsonl.gz).", dir_okay=False)],
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Write failures as training examples: failed questions of pool "train", and feedback that names the right answer.

    No question of any other pool, nor one that resembles it, is among them.
    """
    with connect(url, data_dir, key) as client:
        examples = client.training_examples(collection=collection)
    out.write_bytes(gzip.compress(examples, mtime=0))
    written = examples.count(b"\n")
    told = {"examples": written, "file": str(out)}
    print_json(told) if as_json else typer.echo(f"{written} examples in {out}; use: citewell train … --failures {out}")


def check_reviewed(path: Path) -> None:
    """Raises `InvalidInput` (`drafts_pending`) for a file with drafts that nobody has looked at."""
    from eval.drafting.review import counts
    from eval.question_sets import load_question_set

    pending = counts(load_question_set(path).questions)["pending"]
    if pending:
        raise InvalidInput(
            f"{path} has {pending} drafts that nobody has checked; see: citewell eval review {path}",
            code="drafts_pending",
        )


def _asked(question: EvaluationQuestion) -> EvaluationQuestion | None:
    """The draft with the person's verdict, or as it was when skipped; None to stop."""
    from eval.drafting.review import NEEDS_ANSWER, reviewed

    typer.echo(printable(f"\n{question.id}: {question.question}"))
    wanted = " | ".join(question.answers) if question.answerable else "refuse: there is no answer"
    typer.echo(printable(f"  right: {wanted}"))
    for name in ("quote", "answer", "comment"):
        if question.meta.get(name):
            typer.echo(printable(f"  {name}: {question.meta[name]}"))
    if question.filter:
        typer.echo(printable(f"  asked of: {dict(question.filter)}"))
    pressed = typer.prompt("[a]ccept, [r]eject, [s]kip, [q]uit", default="s", show_default=False).strip().lower()[:1]
    if pressed == "q":
        return None
    if pressed not in ("a", "r"):
        return question
    answer = None
    if pressed == "a" and NEEDS_ANSWER in question.answers:
        answer = typer.prompt("the right answer").strip()
    return reviewed(question, "accepted" if pressed == "a" else "rejected", answer=answer)
