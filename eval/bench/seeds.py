"""How far the tables of the reranker and reader move by luck: `make bench-training DATA=folder`.

The recipe is run small, once a seed, over the same mined examples, and each adapter is measured as `eval.bench.models`
measures the shipped one. What a seed draws: the heads' first weights, the examples and their edits, and their order.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from eval.bench.models import BASE, RELEVANCE_WEIGHT
from eval.bench.reading import (
    RankingCase,
    best_threshold,
    compare,
    gold_readings,
    ranking_cases,
    reader_score,
    relevances,
)
from eval.finetune.recipe import train
from eval.public_sets import load_part
from ingest.models import JointReader, ModelRuntime, SentenceTransformerEncoder

_RANKED = ("qed_nq_dev", "squad2_dev_a")


def measured(adapter: Path, data: Path, cases: dict[str, list[RankingCase]], runtime: ModelRuntime) -> dict[str, float]:
    """Report parts: F1 in percent of the model alone on gold passages (threshold from the choose part), AUROC of
    "answerable", and the change of MRR@10 by reranking.
    """
    reader = JointReader.load(adapter)
    choose, report = (
        gold_readings(load_part(data / "squad2_dev_a", part), reader, runtime, questions=0, seed=1)
        for part in ("choose", "report")
    )
    found = {
        "F1": reader_score(report, best_threshold(choose)).f1,
        "AUROC": float(roc_auc_score([bool(row.golds) for row in report], [row.score for row in report])),
    }
    for name, asked in cases.items():
        scores = relevances(asked, reader, runtime)
        row = compare(name, asked, scores, lambda relevance, fused: fused + RELEVANCE_WEIGHT * relevance)
        found[f"MRR, {name}"] = row.reranked - row.fused
    return found


def table(rows: Sequence[dict[str, float]]) -> str:
    """Markdown: a measure a row; each run, their mean and standard deviation (of a sample)."""
    lines = [
        f"| | {' | '.join(f'run {i}' for i in range(1, len(rows) + 1))} | mean | deviation |",
        "|---" * (len(rows) + 3) + "|",
    ]
    for name in rows[0]:
        values = [row[name] for row in rows]
        shown = " | ".join(f"{value:.4g}" for value in (*values, np.mean(values), np.std(values, ddof=1)))
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the recipe small with several seeds; tell how far they differ.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument(
        "--out", type=Path, default=Path(".bench/training"), help="runs, which a killed one goes on from"
    )
    parser.add_argument("--limit", type=int, default=200, help="examples of each source")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--questions", type=int, default=250, help="questions of each ranked set")
    arguments = parser.parse_args()
    runtime = ModelRuntime()
    for seed in arguments.seeds:
        out = arguments.out / f"seed-{seed}"
        train("joint", arguments.data, out, seed=seed, limit=arguments.limit, examples=arguments.out / "examples")
    encoder = SentenceTransformerEncoder(BASE)
    cases = {
        name: ranking_cases(arguments.data, name, encoder, runtime, questions=arguments.questions, seed=3)
        for name in _RANKED
    }
    rows = [measured(arguments.out / f"seed-{seed}", arguments.data, cases, runtime) for seed in arguments.seeds]
    runtime.close()
    print(table(rows))


if __name__ == "__main__":
    main()
