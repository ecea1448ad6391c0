"""Answers end to end, over HTTP: `python -m eval.bench.answers --url URL --data DIR`.

The service is to run with `CITEWELL_ANSWER_THRESHOLD=0`, so that every question gets an answer with its confidence;
what a threshold would give is computed here, for all thresholds at once. Questions of the `report` part of a set
(`--set`, default `squad2_dev_a`) over its whole corpus, once as it is and once without a third of the gold passages.
Correct is as in docs/evaluation.md. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from sklearn.metrics import roc_auc_score

from eval.bench.acceptance import PROGRESS, Service
from eval.fit_reading import removed_passages
from eval.measures import is_correct_answer, token_f1
from eval.public_sets import SetQuestion, load_part

_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True, slots=True)
class Given:
    """A question with the answer that it got at threshold 0; `span` is the text of the marked short answers."""

    question: SetQuestion
    reachable: bool
    confidence: float
    text: str | None
    span: str
    reason: str | None
    total_ms: float

    @property
    def right(self) -> bool:
        return self.text is not None and is_correct_answer(self.text, self.question.answers)


def measure_set(service: Service, folder: Path, *, questions: int, seed: int, remove: bool, threshold: float) -> Any:
    """Asks the report part of the set in `folder` over the whole corpus, in a collection of its own."""
    part = load_part(folder, "report")
    removed = removed_passages(part, seed) if remove else frozenset()
    name = f"{folder.name}-gold-removed".replace("_", "-") if remove else folder.name.replace("_", "-")
    _upload(service, name, folder / "corpus.jsonl.gz", removed)
    draw = random.Random(seed)  # noqa: S311 - not a secret
    asked = draw.sample(part.questions, min(questions, len(part.questions)))
    given = [_ask(service, name, question, removed) for question in track(asked, f"ask {name}", console=PROGRESS)]
    return summary(given, threshold)


def summary(given: Sequence[Given], threshold: float) -> dict[str, Any]:
    """AUROC of the confidence for "the answer is right", the table of thresholds, and lengths at the one in use."""
    confidence = np.array([one.confidence for one in given])
    right = np.array([one.right for one in given])
    answerable = np.array([one.question.answerable for one in given])
    answered = [one for one in given if one.confidence >= threshold and one.text is not None]
    words = sorted(len((one.text or "").split()) for one in answered)
    f1 = [token_f1(one.span if one in answered else "", one.question.answers or ("",)) for one in given]
    return {
        "questions": len(given),
        "answerable": int(answerable.sum()),
        "gold_in_corpus": sum(one.reachable for one in given),
        "auroc": round(float(roc_auc_score(right, confidence)), 4),
        "thresholds": [_at(limit, confidence, right, answerable) for limit in sorted({*_THRESHOLDS, threshold})],
        "threshold_in_use": threshold,
        "answer_words_median": statistics.median(words) if words else None,
        "answer_words_p95": words[int(0.95 * (len(words) - 1))] if words else None,
        "span_f1": round(statistics.fmean(f1), 4),
        "conflicting_evidence": round(sum(one.reason == "conflicting_evidence" for one in given) / len(given), 4),
        "ask_ms_p50": round(statistics.median(one.total_ms for one in given), 1),
    }


def _at(limit: float, confidence: Any, right: Any, answerable: Any) -> dict[str, float]:
    given = confidence >= limit
    return {
        "threshold": limit,
        "answered": round(float(given.mean()), 4),
        "right_among_answered_answerable": _share(right[given & answerable]),
        "right_among_answered": _share(right[given]),
        "false_answers": _share(given[~answerable]),
        "over_refusal": _share(~given[answerable]),
    }


def _share(values: Any) -> float:
    return round(float(values.mean()), 4) if len(values) else 0.0


def _ask(service: Service, name: str, question: SetQuestion, removed: frozenset[str]) -> Given:
    reply = service.post(f"/v1/collections/{name}/ask", {"question": question.question, "cache": False})
    text = reply["answer"]
    spans = [text[span["start"] : span["end"]] for span in reply["answer_spans"]] if text else []
    return Given(
        question,
        any(gold not in removed for gold in question.gold),
        reply["confidence"],
        text,
        " ".join(spans),
        reply["refusal"]["reason"] if reply["refusal"] else None,
        reply["timings_ms"]["total"],
    )


def _upload(service: Service, name: str, corpus: Path, removed: frozenset[str]) -> None:
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        kept = [line for line in lines if json.loads(line)["id"] not in removed]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        path.write_text("".join(kept), encoding="utf-8")
        service.new_collection(name)
        service.finish(service.upload(name, path)["job_id"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure answers end to end on public data.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--set", default="squad2_dev_a", help="which of them")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--threshold", type=float, default=0.5, help="the threshold that the service would use")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    service = Service(options.url)
    report: dict[str, Any] = {}
    for label, remove in ((f"{options.set} report", False), ("a third of the gold passages removed", True)):
        report[label] = measure_set(
            service,
            options.data / options.set,
            questions=options.questions,
            seed=options.seed,
            remove=remove,
            threshold=options.threshold,
        )
    sys.stdout.write(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
