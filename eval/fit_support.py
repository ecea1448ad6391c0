"""Fits the weights of the support checker: `python -m eval.fit_support --data DIR --out FILE`.

Scripted sentences about the `train` parts only: light edits and restatements are supported; sentences about another
topic, with a number or name swapped, negated, or true of another passage are not. Deterministic for a seed. Verbatim
quotes are left out: they need no model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from eval.scripted import (
    BadKind,
    GoodKind,
    Passage,
    Script,
    ScriptedSentence,
    chinese_passages,
    passage_hit,
    squad_passages,
)
from generate.citations import best_quote
from generate.logistic import LogisticModel
from generate.support import FEATURES, EntailmentSupport, SupportWeights, is_verbatim
from ingest.models import ModelRuntime, SentenceTransformerEncoder

_SHARES: tuple[tuple[GoodKind | BadKind, float], ...] = (
    ("edited", 1.0),
    ("restated", 1.0),
    ("topic", 0.4),
    ("swapped", 0.8),
    ("negated", 0.6),
    ("plausible", 0.2),
)
"""Sentences of each kind, as a share of `sentences`: as many good as bad ones, so that 0.5 means even odds."""

UNFITTED = SupportWeights(*[LogisticModel((0.0,) * len(FEATURES), 0.0)] * 2)


def fit(data: Path, *, sentences: int, seed: int) -> dict[str, Any]:
    """Weights of both models with their AUROC on the data they were fitted to (a sanity figure, not a result)."""
    runtime = ModelRuntime()
    checker = EntailmentSupport(runtime, SentenceTransformerEncoder("all-MiniLM-L6-v2"), UNFITTED, timeout_s=600)
    english = squad_passages(data, range(8))
    chinese = [*chinese_passages(data, "drcd_dev", (0, 0.5)), *chinese_passages(data, "cmrc2018_trial", (0, 0.5))]
    fitted: dict[str, Any] = {"features": list(FEATURES)}
    for name, passages in (("support", english), ("lexical_support", chinese)):
        fitted[name] = _logistic(_rows(checker, passages, sentences, seed))
    runtime.close()
    return fitted


def feature_row(checker: EntailmentSupport, scripted: ScriptedSentence) -> tuple[float, ...] | None:
    """Features of a sentence and the best quote of its passage, as the citation check takes it; None if verbatim."""
    passage = scripted.passage
    quote = best_quote(scripted.text, passage_hit(passage)).text
    if is_verbatim(scripted.text, [quote]):
        return None
    return checker.feature_row(scripted.text, [quote], [f"{passage.title}\n{passage.text}"])


def _rows(checker: EntailmentSupport, passages: Sequence[Passage], sentences: int, seed: int) -> pd.DataFrame:
    script = Script(passages, seed)
    rows = []
    for kind, share in _SHARES:
        for _ in track(range(int(sentences * share)), kind):
            scripted = script.sentence(kind)
            row = feature_row(checker, scripted)
            if row is not None:
                rows.append((*row, scripted.good))
    return pd.DataFrame(rows, columns=[*FEATURES, "label"])


def _logistic(rows: pd.DataFrame) -> dict[str, Any]:
    features, labels = rows[list(FEATURES)].to_numpy(), rows["label"].to_numpy()
    model = LogisticRegression(max_iter=2000).fit(features, labels)
    auroc = roc_auc_score(labels, model.predict_proba(features)[:, 1])
    return {
        "weights": [round(float(w), 4) for w in model.coef_[0]],
        "intercept": round(float(model.intercept_[0]), 4),
        "fitted_on": {"rows": len(rows), "positive": int(labels.sum()), "auroc": round(float(auroc), 4)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the support checker.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--sentences", type=int, default=1000, help="good sentences a kind and language")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    fitted = fit(arguments.data, sentences=arguments.sentences, seed=arguments.seed)
    arguments.out.write_text(json.dumps(fitted, indent=1) + "\n")


if __name__ == "__main__":
    main()
