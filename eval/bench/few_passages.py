"""Answers where a collection is small: `python -m eval.bench.few_passages --data DIR`.

Questions of the `report` part of SQuAD 2.0, each over one to five passages of its article, a third of the gold passages
missing; the answers that the shipped weights would give at a confidence of .5. By number of passages that were read: of
the questions whose passage answers them the share answered and of these the right ones, and the share answered of
all others. Deterministic for a seed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sklearn.metrics import roc_auc_score

from eval.fit_reading import Asked, Asker, removed_passages
from eval.public_sets import load_part
from generate.reading import ReadingWeights, confidence_features
from ingest.models import JointReader, ModelRuntime, SentenceTransformerEncoder

_THRESHOLD = 0.5
_WEIGHTS = Path(__file__).parents[2] / "data" / "models"


@dataclass(frozen=True, slots=True)
class Judged:
    """A question's best answer: among how many passages, whether one holds an answer, how sure, and whether right."""

    passages: int
    answerable: bool
    confidence: float
    right: bool


def judged(asked: Asked, weights: ReadingWeights, removed: frozenset[str]) -> Judged:
    """What the service would make of what was found."""
    scored = asked.scored(weights.sentence)
    there = asked.question.answerable and not set(asked.question.gold) & removed
    if not scored:
        return Judged(len(asked.hits), there, 0.0, right=False)
    confidence = weights.confidence.probability(confidence_features(scored, asked.hits))
    return Judged(len(asked.hits), there, confidence, asked.answers_right(scored))


def table(rows: Sequence[Judged]) -> str:
    """One line for each number of passages, one for all."""
    lines = ["| passages | questions | AUROC | answered where answerable | of these right | answered of the others |"]
    lines.append("|---|---|---|---|---|---|")
    for passages in [*sorted({row.passages for row in rows}), None]:
        chosen = [row for row in rows if passages in (row.passages, None)]
        given = [row for row in chosen if row.confidence >= _THRESHOLD]
        answerable = [row for row in given if row.answerable]
        cells = (
            str(passages or "all"),
            str(len(chosen)),
            auroc(chosen),
            share(len(answerable), sum(row.answerable for row in chosen)),
            share(sum(row.right for row in answerable), len(answerable)),
            share(len(given) - len(answerable), sum(not row.answerable for row in chosen)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def auroc(rows: Sequence[Judged]) -> str:
    """How well the confidence tells right answers from wrong ones; "-" where all are alike."""
    right = [row.right for row in rows]
    return f"{roc_auc_score(right, [row.confidence for row in rows]):.3f}" if len(set(right)) > 1 else "-"


def share(part: int, whole: int) -> str:
    """In percent; "-" of nothing."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure answers over one to five passages.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--part", choices=("choose", "calibrate", "report"), default="report")
    parser.add_argument("--questions", type=int, default=600, help="of the set; 0 takes all")
    parser.add_argument("--adapter", type=Path, default=_WEIGHTS / "minilm-reader", help="default: the shipped one")
    parser.add_argument("--weights", type=Path, default=_WEIGHTS / "reading.json", help="as eval.fit_reading writes it")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    weights = ReadingWeights.load(arguments.weights)
    part = load_part(arguments.data / "squad2_dev_a", arguments.part)
    draw = random.Random(arguments.seed)  # noqa: S311 - not a secret
    asked = draw.sample(part.questions, min(arguments.questions or len(part.questions), len(part.questions)))
    encoder, runtime = SentenceTransformerEncoder("all-MiniLM-L6-v2"), ModelRuntime()
    asker = Asker(encoder, JointReader.load(arguments.adapter, encoder=encoder), runtime)
    removed = removed_passages(part, arguments.seed)
    rows = [judged(one, weights, removed) for one in asker.ask_few(part, asked, seed=arguments.seed)]
    runtime.close()
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
