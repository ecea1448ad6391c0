"""How verdicts, metrics and comparisons are told on the command line, and which exit status they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from api.cli.output import print_table, printable

if TYPE_CHECKING:
    from api.client import Evaluation, GateLine, Metric

_EXIT = {"pass": 0, "fail": 1}
_NO_VERDICT = 4
_NEXT_STEP = {
    "no_baseline": "make this run the baseline with: citewell eval bless {id}",
    "not_comparable": "run the question set again, and bless the new run",
    "incomplete": "see the reasons above",
}


def exit_code(verdict: str | None) -> int:
    """0 passed, 1 the gate failed, 4 no verdict."""
    return _EXIT.get(verdict or "", _NO_VERDICT)


def print_evaluation(evaluation: Evaluation) -> None:
    """The verdict first, then why, the gate, and all metrics."""
    verdict = evaluation["verdict"] or evaluation["state"]
    typer.echo(f"{evaluation['evaluation_id']}: {verdict}")
    for reason in evaluation["reasons"]:
        typer.echo(printable(f"  {reason}"))
    for warning in evaluation["warnings"]:
        typer.echo(printable(f"  warning: {warning}"))
    if (step := _NEXT_STEP.get(verdict)) is not None:
        typer.echo("  " + step.format(id=evaluation["evaluation_id"]))
    _print_diagnosis(evaluation["blamed"], evaluation["diagnosis"])
    if evaluation["stale"]:
        typer.echo(printable(f"  {len(evaluation['stale'])} stale questions: {', '.join(evaluation['stale'][:10])}"))
    _print_gate(evaluation["gate"])
    _print_metrics(evaluation["metrics"])


def print_certificate(certificate: Mapping[str, Any]) -> None:
    """What is promised, on what it rests, or why nothing is."""
    if certificate["state"] != "valid":
        typer.echo(printable(f"{certificate['state'].replace('_', ' ')}: {certificate['reason']}"))
        return
    typer.echo(
        f"at most {certificate['risk']:.1%} of the answers are wrong, with {certificate['confidence']:.0%} confidence: "
        f"answered at confidence {certificate['threshold']:.3f} and above, {certificate['answer_rate']:.1%} of the "
        f"questions; {certificate['errors']} of {certificate['n']} answers were wrong"
    )


def print_comparison(found: Mapping[str, Any]) -> None:
    """What changed, where, and what the change of the success index is due to."""
    typer.echo(f"{found['verdict']}")
    for reason in found["reasons"]:
        typer.echo(printable(f"  {reason}"))
    _print_diagnosis(found["blamed"], found["diagnosis"])
    _print_gate(found["gate"])
    if attribution := found["attribution"]:
        typer.echo(
            f"success index {attribution['change']:+.3f} = correctness {attribution['correctness']:+.3f}, "
            f"coverage {attribution['coverage']:+.3f}, stability {attribution['stability']:+.3f}"
        )
    if found["answer_drift"] is not None:
        typer.echo(f"answer drift {found['answer_drift']:.3f}")


def _print_diagnosis(blamed: str | None, diagnosis: Mapping[str, Any] | None) -> None:
    if blamed is not None:
        typer.echo(f"  blamed: {blamed}")
    if diagnosis is not None and diagnosis["stage"] is not None:
        shares = ", ".join(f"{stage} {share:.0%}" for stage, share in diagnosis["shares"].items())
        typer.echo(f"  stage: {diagnosis['stage']} ({shares} of {diagnosis['looked_at']} lost items)")


def _print_gate(lines: Sequence[GateLine]) -> None:
    if lines:
        columns = ["Gated metric", "Baseline", "Now", "Change", "Holm p", "Verdict"]
        print_table(columns, [_gate_row(line) for line in lines])


def _gate_row(line: GateLine) -> tuple[str, ...]:
    return (
        line["metric"],
        f"{line['baseline']:.3f}",
        f"{line['value']:.3f}",
        f"{line['delta']:+.3f}",
        f"{line['p']:.2g}",
        line["verdict"].replace("_", " "),
    )


def _print_metrics(metrics: Mapping[str, Metric]) -> None:
    if metrics:
        print_table(["Metric", "Value", "95 % interval", "n"], [_metric_row(*one) for one in metrics.items()])


def _metric_row(name: str, metric: Metric) -> tuple[str, ...]:
    low, high = metric["low"], metric["high"]
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    value = "unscored" if metric["value"] is None else f"{metric['value']:.3f}"
    return name, value, interval, str(metric["n"])
