"""`citewell ask`: an answer with its evidence, or a refusal with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from api.cli import options
from api.cli.connection import connect
from api.cli.output import one_line, print_json, printable
from api.cli.passages import place, print_hits

if TYPE_CHECKING:
    from api.client import Answer, Citation, Client, Refusal


def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.", show_default=False)],
    top_k: Annotated[int | None, typer.Option(help="Passages to answer from.", min=1)] = None,
    filter: options.Filter = None,  # noqa: A002 - the contract's name
    max_risk: Annotated[
        float | None,
        typer.Option(help="Answer only under a certificate that wrong answers are at most this share.", min=0, max=1),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print each sentence as soon as it is checked.")] = False,
    collection: options.Collection = "default",
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
    key: options.Key = None,
) -> None:
    """Ask a question: prints the answer and the passages it rests on, or says why there is none.

    A refusal is a result, not an error: the exit status is 0.
    """
    wanted = options.json_object(filter, "--filter")
    with connect(url, data_dir, key) as client:
        if stream and not as_json:
            answer = _streamed(client, question, collection, top_k, wanted, max_risk)
        else:
            answer = client.ask(question, collection=collection, top_k=top_k, filter=wanted, max_risk=max_risk)
    if as_json:
        print_json(answer)
        return
    if answer["refusal"]:
        _print_refusal(answer, answer["refusal"])
    else:
        if not stream:
            typer.echo(printable(_with_markers(answer)))
        _print_evidence(answer)
    if pending := answer["documents_pending"]:
        still = "1 document was" if pending == 1 else f"{pending:,} documents were"
        typer.echo(f"\nNote: {still} still being ingested, and could not be searched; ask again later.", err=True)


def _streamed(
    client: Client,
    question: str,
    collection: str,
    top_k: int | None,
    wanted: dict[str, object] | None,
    max_risk: float | None,
) -> Answer:
    """Prints the sentences as they come and returns the finished answer."""
    events = client.ask_stream(question, collection=collection, top_k=top_k, filter=wanted, max_risk=max_risk)
    for event in events:
        if event.name == "sentence":
            markers = "".join(f" {citation['marker']}" for citation in event.data["citations"])
            typer.echo(printable(event.data["text"]) + markers)
        if event.name == "done":
            return cast("Answer", event.data)
    raise AssertionError("a stream ends with its answer or an error")


def _with_markers(answer: Answer) -> str:
    """The answer with the marker of each citation behind the words it supports."""
    text = answer["answer"] or ""
    for citation in sorted(answer["citations"], key=lambda one: one["answer_end"], reverse=True):
        end = citation["answer_end"]
        text = f"{text[:end]} {citation['marker']}{text[end:]}"
    return text


def _print_evidence(answer: Answer) -> None:
    confidence = f"Confidence {answer['confidence']:.2f}"
    if risk := answer["risk"]:
        confidence += f", at most {risk['bound']:.1%} wrong ({risk['confidence']:.0%} sure)"
    if answer["status"] == "partial":
        confidence += "; sentences without support were left out"
    typer.echo(f"\n{confidence}\n\nEvidence")
    for citation in answer["citations"]:
        _print_citation(citation)
    for conflict in answer["conflicts"]:
        typer.echo(f"Contradicted by {one_line(conflict['document_id'])}: “{one_line(conflict['quote'])}”")


def _print_citation(citation: Citation) -> None:
    typer.echo(f"{citation['marker']} {place(citation)}")
    typer.echo(f"    “{one_line(citation['quote'])}”")
    typer.echo(f"    support {citation['support']:.2f}, credibility {citation['credibility']:.2f}")


def _print_refusal(answer: Answer, refusal: Refusal) -> None:
    typer.echo(f"No answer: {refusal['message']} ({refusal['reason']})")
    typer.echo(f"Confidence {answer['confidence']:.2f}, needed {refusal['threshold']:.2f}")
    if refusal["nearest"]:
        typer.echo("\nNearest passages")
        print_hits(refusal["nearest"])
