"""`citewell eval`: ask question sets, compare with what was blessed, and say whether it became worse."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import drafts, options
from api.cli.connection import connect
from api.cli.following import follow_job
from api.cli.fusion import fit_fusion
from api.cli.output import print_json
from api.cli.verdicts import exit_code, print_certificate, print_comparison, print_evaluation

if TYPE_CHECKING:
    from api.client import Client, Evaluation

app = typer.Typer(
    help="Run question sets against a collection, and gate changes.",
    epilog="Exit status: 0 passed, 1 the gate failed, 2 wrong input, 3 unavailable, 4 no verdict (no baseline yet, "
    "not comparable, incomplete).",
    no_args_is_help=True,
)
app.command()(fit_fusion)

app.command()(drafts.new)
app.command()(drafts.review)

EvaluationId = Annotated[str, typer.Argument(help="Its id, such as eval_9f….", show_default=False)]
QuestionSetArgument = Annotated[
    str,
    typer.Argument(help="Question set: a .jsonl or .jsonl.gz file, or the name of a stored one.", show_default=False),
]
Repeats = Annotated[int, typer.Option(help="How often each phrasing is asked.", min=1, max=100)]
Parquet = Annotated[Path | None, typer.Option(help="Write all rows to this Parquet file.", dir_okay=False)]
Report = Annotated[Path | None, typer.Option(help="Write the report, one HTML page, to this file.", dir_okay=False)]
Junit = Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML to this file.", dir_okay=False)]


@app.command()
def run(
    question_set: QuestionSetArgument,
    repeats: Repeats = 3,
    baseline: Annotated[
        str | None, typer.Option(help="Evaluation to compare with, in place of the blessed baseline.", metavar="ID")
    ] = None,
    nightly: Annotated[bool, typer.Option("--nightly", help="Counts as one night of the history.")] = False,
    parquet: Parquet = None,
    report: Report = None,
    junit: Junit = None,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Ask every question and paraphrase, compare with the baseline, and print metrics and verdict.

    A run that was interrupted goes on where it was.
    """
    with connect(url, data_dir, key) as client:
        evaluation = _evaluated(client, question_set, collection, repeats, baseline, nightly)
        if parquet is not None:
            parquet.write_bytes(client.evaluation_parquet(evaluation["evaluation_id"]))
        if report is not None:
            report.write_bytes(client.evaluation_report(evaluation["evaluation_id"]))
    if junit is not None:
        _write_junit(junit, evaluation)
    print_json(evaluation) if as_json else print_evaluation(evaluation)
    raise typer.Exit(exit_code(evaluation["verdict"]))


@app.command()
def gate(
    evaluation_id: EvaluationId,
    junit: Junit = None,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Print the verdict of an evaluation; the exit status is the verdict."""
    with connect(url, data_dir, key) as client:
        evaluation = client.evaluation(evaluation_id)
    if junit is not None:
        _write_junit(junit, evaluation)
    print_json(evaluation) if as_json else print_evaluation(evaluation)
    raise typer.Exit(exit_code(evaluation["verdict"]))


@app.command()
def compare(
    before: Annotated[str, typer.Argument(help="Id of the evaluation to compare with.", show_default=False)],
    after: EvaluationId,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Print what changed between two runs of one question set, and at which stage. Asks nothing; what no fresh asks of
    the later run confirm is "incomplete".
    """
    with connect(url, data_dir, key) as client:
        found = client.compare(after, before)
    print_json(found) if as_json else print_comparison(found)
    raise typer.Exit(exit_code(found["verdict"]))


@app.command()
def bless(
    evaluation_ids: Annotated[
        list[str], typer.Argument(help="Evaluations, best of several starts.", show_default=False)
    ],
    note: Annotated[str | None, typer.Option(help="Why this is the baseline from now on.")] = None,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Make runs the baseline of their question set. All their replicates count together."""
    with connect(url, data_dir, key) as client:
        baseline = client.bless(evaluation_ids[0], together_with=evaluation_ids[1:], note=note)
    if as_json:
        print_json(baseline)
    else:
        typer.echo(f"{baseline['question_set']}: {len(baseline['evaluations'])} evaluations are the baseline")


@app.command()
def calibrate(
    question_set: QuestionSetArgument,
    risk: Annotated[float, typer.Option(help="Greatest share of wrong answers among those given.")] = 0.1,
    confidence: Annotated[float, typer.Option(help="How sure the promise is to be.")] = 0.9,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Find the confidence below which to refuse, so that a stated share of wrong answers is kept.

    Uses the questions of pool "calibrate" where the set names pools. Ends with 4 when nothing can be promised.
    """
    with connect(url, data_dir, key) as client:
        name, _ = _stored_set(client, question_set)
        job_id = client.calibrate(name, collection=collection, risk=risk, confidence=confidence)
        follow_job(client, job_id, f"calibrating on {name}")
        certificate = client.certificate(collection=collection)
    print_json(certificate) if as_json else print_certificate(certificate)
    raise typer.Exit(0 if certificate["state"] == "valid" else exit_code(None))


app.command()(drafts.export_failures)


def _evaluated(
    client: Client, question_set: str, collection: str, repeats: int, baseline: str | None, nightly: bool
) -> Evaluation:
    name, version = _stored_set(client, question_set)
    evaluation_id, job_id = _unfinished(client, name, version, collection, repeats, nightly) or _begun(
        client, name, collection, repeats, baseline, nightly
    )
    follow_job(client, job_id, f"asking {name}")
    return client.evaluation(evaluation_id)


def _stored_set(client: Client, question_set: str) -> tuple[str, str]:
    """Name and version; a file is stored first, under its name."""
    path = Path(question_set)
    if path.is_file():
        drafts.check_reviewed(path)
        name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        return name, client.put_question_set(name, path.read_bytes())["version"]
    return question_set, client.question_set(question_set)["version"]


def _unfinished(
    client: Client, name: str, version: str, collection: str, repeats: int, nightly: bool
) -> tuple[str, str] | None:
    """The same run, if it was begun and has not ended (a restarted service goes on with it)."""
    for one in client.evaluations(collection=collection, question_set=name):
        same = (one["question_set_version"], one["repeats"], one["nightly"]) == (version, repeats, nightly)
        if same and one["state"] in ("queued", "running") and one["job_id"] is not None:
            typer.echo(f"going on with {one['evaluation_id']}", err=True)
            return one["evaluation_id"], one["job_id"]
    return None


def _begun(
    client: Client, name: str, collection: str, repeats: int, baseline: str | None, nightly: bool
) -> tuple[str, str]:
    begun = client.evaluate(name, collection=collection, repeats=repeats, baseline=baseline, nightly=nightly)
    return begun["evaluation_id"], begun["job_id"]


def _write_junit(path: Path, evaluation: Evaluation) -> None:
    from eval.export import junit_xml

    path.write_text(junit_xml(evaluation), encoding="utf-8")
