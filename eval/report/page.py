"""The page: verdict first, then why, then everything. All text from documents and users is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from eval.measures import (
    pair_agreement,
    population_stability,
    population_stability_limit,
    rank_biased_overlap,
    risk_coverage_curve,
)
from eval.report.plots import Series, histogram, interval_bar, line_plot
from eval.report.slices import slices_of
from eval.report.subject import Subject
from eval.rows import EvaluationRow
from eval.summary import Item, items_of, would_be_wrong

_STYLE = Path(__file__).with_name("style.css")
_FLIPS_MAX = 200
_LEVEL = 0.01
_CANARY_MIN = 0.9999
_HISTORY = ("task_success", "retrieval_coverage", "evidence_rate", "false_answer_rate")
_VERDICTS = {
    "pass": "Passed",
    "fail": "Failed",
    "no_baseline": "No baseline yet",
    "not_comparable": "Not comparable",
    "incomplete": "No verdict",
}


def render(subject: Subject) -> str:
    """The report as one HTML document without scripts and without anything loaded from elsewhere."""
    evaluation = subject.evaluation
    title = f"{evaluation.question_set} on {evaluation.collection}"
    sections = (
        _verdict(subject),
        _gate(subject),
        _metrics(subject),
        _plots(subject),
        _drift(subject),
        _slices(subject),
        _flips(subject),
        _environment(subject),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body><main>"
        f"{''.join(sections)}</main></body></html>\n"
    )


def _verdict(subject: Subject) -> str:
    evaluation, gate = subject.evaluation, subject.evaluation.gate
    verdict = evaluation.verdict or evaluation.state
    lines = [f"<li>{escape(reason)}</li>" for reason in gate.get("reasons", [])]
    lines += [f'<li class="muted">{escape(warning)}</li>' for warning in gate.get("warnings", [])]
    if gate.get("blamed"):
        lines.append(f"<li>blamed: <b>{escape(gate['blamed'])}</b></li>")
    diagnosis = gate.get("diagnosis")
    if diagnosis and diagnosis["stage"]:
        shares = ", ".join(f"{escape(stage)} {share:.0%}" for stage, share in diagnosis["shares"].items())
        lines.append(
            f"<li>stage: <b>{escape(diagnosis['stage'])}</b> ({shares} of {diagnosis['looked_at']} lost items)</li>"
        )
    if evaluation.stale:
        lines.append(
            f"<li>{len(evaluation.stale)} stale questions were not asked: {escape(', '.join(evaluation.stale))}</li>"
        )
    asked = f"{len(subject.questions)} questions, {evaluation.repeats} repeats, {len(subject.rows)} asks"
    return (
        f'<header class="{escape(verdict)}"><p class="muted">{escape(str(evaluation.question_set))} on '
        f"{escape(evaluation.collection)} · {escape(evaluation.created_at[:16])} · {asked}</p>"
        f"<h1>{escape(_VERDICTS.get(verdict, verdict))}</h1><ul>{''.join(lines)}</ul></header>"
    )


def _gate(subject: Subject) -> str:
    lines = subject.evaluation.gate.get("lines", [])
    if not lines:
        return ""
    limit = max([0.02, *[abs(line["delta"]) for line in lines], *[abs(line["low"] or 0) for line in lines]])
    rows = [
        (
            escape(line["metric"]),
            _share(line["baseline"]),
            _share(line["value"]),
            f"{line['delta']:+.3f}",
            interval_bar(line["low"], line["delta"], line["high"], limit),
            f"{line['p']:.2g}",
            "" if line["confirmation_p"] is None else f"{line['confirmation_p']:.2g}",
            f'<span class="tag {escape(line["verdict"])}">{escape(line["verdict"].replace("_", " "))}</span>',
        )
        for line in lines
    ]
    head = ("metric", "baseline", "now", "change", "95 % interval", "p (Holm)", "p (fresh asks)", "")
    return _section("Gate", _table(head, rows))


def _metrics(subject: Subject) -> str:
    rows = []
    for name, metric in subject.evaluation.metrics.items():
        before = subject.baseline_metrics.get(name)
        interval = "" if metric["low"] is None else f"{metric['low']:.3f} to {metric['high']:.3f}"
        rows.append(
            (
                escape(name),
                _share(metric["value"]),
                interval,
                "" if before is None else _share(before.value),
                str(metric["n"]),
                str(metric["unscored"] or ""),
            )
        )
    return _section("Metrics", _table(("metric", "value", "95 % interval", "baseline", "n", "unscored"), rows))


def _plots(subject: Subject) -> str:
    curves = [_curve("this run", subject.rows, "now"), _curve("baseline", subject.baseline, "before")]
    stability = [value for item in items_of(subject.rows) if (value := pair_agreement(item.meanings)) is not None]
    history = [
        Series(
            name,
            [(float(i), night.values[name]) for i, night in enumerate(subject.nights) if name in night.values],
            f"s{n}",
        )
        for n, name in enumerate(_HISTORY)
    ]
    drift = subject.evaluation.gate.get("slow_drift") or {"stakes": []}
    stakes = [(float(i), stake) for i, stake in enumerate(drift["stakes"], start=1)]
    return _section(
        "Plots",
        '<div class="plots">'
        + line_plot(
            [one for one in curves if one.points],
            title="Risk of the answers given, by how many are given",
            x_label="share of questions answered",
            y_label="share wrong among answers",
            y_range=(0.0, 1.0),
        )
        + histogram(stability, title="Answer stability of the questions", x_label="agreement of repeated asks")
        + line_plot(
            [one for one in history if one.points],
            title="Runs so far",
            x_label="run",
            y_label="rate",
            y_range=(0.0, 1.0),
        )
        + line_plot(
            [Series("stake", stakes, "now")],
            title="Slow drift: stake of the bet against the system",
            x_label="night since the baseline",
            y_label="stake (alarm at 1 / level)",
        )
        + "</div>",
    )


def _drift(subject: Subject) -> str:
    if not subject.baseline:
        return ""
    rows = []
    for name, values in (
        ("confidence", lambda row: row.confidence),
        ("top score", lambda row: row.top_score),
        ("answer length", lambda row: None if row.answer is None else float(len(row.answer))),
    ):
        before = [value for row in _first(subject.baseline) if (value := values(row)) is not None]
        after = [value for row in _first(subject.rows) if (value := values(row)) is not None]
        psi = population_stability(before, after)
        if psi is not None:
            limit = population_stability_limit(len(before), len(after))
            told = "beyond what chance explains" if psi > limit else "within chance"
            rows.append((f"PSI of the {name}", f"{psi:.3f}", f"{limit:.3f}", told))
    rows += _embedding_rows(subject.evaluation.gate.get("embedding_drift"))
    overlaps = _overlaps(subject)
    if overlaps:
        rows.append(
            ("mean RBO of the rankings", f"{sum(overlaps) / len(overlaps):.3f}", "1", "1: the same passages in order")
        )
    note = "<p class=muted>Explains, never blocks. The limit of PSI is that of chance at these sample sizes (1 %).</p>"
    return _section("Drift", note + _table(("", "value", "limit", ""), rows))


def _embedding_rows(found: Mapping[str, Any] | None) -> list[tuple[str, str, str, str]]:
    """Of `eval.embedding_drift`, what is there."""
    rows = []
    if found is not None and found["mmd2"] is not None:
        told = "beyond what chance explains" if found["p"] < _LEVEL else "within chance"
        rows.append(("MMD² of the answers' embeddings", f"{found['mmd2']:.4f}", f"p = {found['p']:.2g}", told))
    if found is not None and found["domain_auc"] is not None:
        rows.append(("AUC of a classifier of the two", f"{found['domain_auc']:.3f}", "0.5", "0.5: it cannot"))
    if found is not None and found["canary"] is not None:
        told = "another embedder" if found["canary"] < _CANARY_MIN else "the same embedder"
        rows.append(("cosine of pinned texts", f"{found['canary']:.6f}", f"{_CANARY_MIN}", told))
    return rows


def _slices(subject: Subject) -> str:
    rows = [
        (
            escape(one.name),
            str(one.asks),
            _share(one.value),
            _share(one.baseline),
            "" if one.p is None else f"{one.p:.2g}",
            '<span class="tag fail">worse</span>' if one.flagged else "",
        )
        for one in slices_of(subject.rows, subject.baseline)
    ]
    note = "<p class=muted>Task success. Flagged at a false discovery rate of 5 %; slices never block.</p>"
    return _section("Slices", note + _table(("slice", "asks", "now", "baseline", "p", ""), rows))


def _flips(subject: Subject) -> str:
    """Items whose usual outcome is another than in the baseline, losses first, with both answers and their evidence."""
    old = {(item.question_id, item.phrasing): item for item in items_of(subject.baseline)}
    flips = []
    for item in items_of(subject.rows):
        was = old.get((item.question_id, item.phrasing))
        if was is not None and (_usual(was), _meaning(was)) != (_usual(item), _meaning(item)):
            flips.append((_rate(item) - _rate(was), was, item))
    flips.sort(key=lambda flip: (flip[0], flip[2].question_id, flip[2].phrasing))
    shown = [_flip(subject, change, was, now) for change, was, now in flips[:_FLIPS_MAX]]
    rest = f"<p>… and {len(flips) - _FLIPS_MAX} more</p>" if len(flips) > _FLIPS_MAX else ""
    return _section(f"Flipped questions ({len(flips)})", "".join(shown) + rest) if subject.baseline else ""


def _flip(subject: Subject, change: float, was: Item, now: Item) -> str:
    question = subject.questions.get(now.question_id)
    golds = ", ".join(question.answers) if question and question.answerable else "refuse: the collection has no answer"
    kind = "lost" if change < 0 else "won" if change > 0 else "changed"
    return (
        f'<article class="flip {kind}"><h3>{escape(now.rows[0].question)}</h3>'
        f'<p class="muted">{escape(now.question_id)}#{now.phrasing} · {kind} · gold: {escape(golds)}</p>'
        f'<div class="sides">{_side("Baseline", was)}{_side("This run", now)}</div></article>'
    )


def _side(title: str, item: Item) -> str:
    row = _typical(item)
    right = sum(one.success is True for one in item.rows)
    answer = (
        escape(row.answer) if row.answer is not None else f"<i>{escape(row.reason or row.error_code or 'refused')}</i>"
    )
    quotes = "".join(
        f"<blockquote>{escape(one.quote)}<cite>{escape(one.document_id)} v{one.version}, "
        f"{one.char_start}-{one.char_end}</cite></blockquote>"
        for one in row.citations
    )
    confidence = "" if row.confidence is None else f" · confidence {row.confidence:.2f}"
    found = {True: "gold evidence found", False: "gold evidence not found", None: ""}[row.evidence_found]
    return (
        f'<div><h4>{title}</h4><p class="muted">right {right} of {len(item.rows)}{confidence} · {found}</p>'
        f"<p>{answer}</p>{quotes}</div>"
    )


def _environment(subject: Subject) -> str:
    environment = {"fingerprint": subject.evaluation.fingerprint, **subject.evaluation.environment}
    rows = [(escape(str(name)), escape(str(value))) for name, value in environment.items() if name != "canary"]
    return _section("What this depends on", _table(("", ""), rows))


def _curve(name: str, rows: Sequence[EvaluationRow], style: str) -> Series:
    pairs = [(row.confidence, would_be_wrong(row)) for row in _first(rows) if row.confidence is not None]
    known = [(confidence, wrong) for confidence, wrong in pairs if wrong is not None]
    points = risk_coverage_curve([one[0] for one in known], [one[1] for one in known])
    return Series(name, [(point.answer_rate, point.risk) for point in points], style)


def _overlaps(subject: Subject) -> list[float]:
    old = {(row.question_id, row.phrasing): row for row in _first(subject.baseline)}
    found = []
    for row in _first(subject.rows):
        was = old.get((row.question_id, row.phrasing))
        if was is not None and (overlap := rank_biased_overlap(was.retrieved, row.retrieved)) is not None:
            found.append(overlap)
    return found


def _first(rows: Iterable[EvaluationRow]) -> list[EvaluationRow]:
    return [item.rows[0] for item in items_of(list(rows))]


def _usual(item: Item) -> str:
    decisions = [row.decision for row in item.rows]
    return max(sorted(set(decisions)), key=decisions.count)


def _meaning(item: Item) -> str:
    return (_typical(item).short_answer or "").casefold()


def _typical(item: Item) -> EvaluationRow:
    """The first row with the usual decision."""
    usual = _usual(item)
    return next(row for row in item.rows if row.decision == usual)


def _rate(item: Item) -> float:
    return sum(row.success is True for row in item.rows) / len(item.rows)


def _share(value: float | None) -> str:
    return "unscored" if value is None else f"{value:.3f}"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{name}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>'
