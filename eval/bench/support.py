"""The support checker on data it was not fitted to: `python -m eval.bench.support --data DIR`.

1. `halueval_qa_one_turn`: AUROC of grounded against hallucinated answers, length controlled in two ways: within strata
   of answer length (each pair of answers compared has a length in the same stratum), and on pairs matched to within two
   characters. The plain AUROC is shown for comparison; there, length alone separates the classes.
2. 300 scripted answers of two good sentences and one planted bad one, 75 of each kind, about the `report` articles of
   `squad2_dev_a`, through the citation check: what is removed of each kind, and of the good sentences.

Prints one JSON object. Deterministic for a seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from eval.scripted import BAD_KINDS, GOOD_KINDS, Script, ScriptedSentence, passage_hit, squad_passages
from generate.citations import SUPPORT_MIN, best_quote
from generate.support import EntailmentSupport, SupportWeights
from ingest.models import ModelRuntime, SentenceTransformerEncoder

_STRATA = (0, 6, 10, 14, 18, 22, 26, 30, 35, 40, 50, 60, 80, 10_000)
_MATCH_CHARS = 2
_ANSWERS_A_KIND = 75
_GOOD_AN_ANSWER = 2
_REMOVED = ("topic", "swapped", "negated")
_WEIGHTS = Path(__file__).parents[2] / "data" / "models" / "support.json"

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


def measure_halueval(checker: EntailmentSupport, folder: Path) -> dict[str, Any]:
    """AUROC plain, by length alone, within strata of length, and on length-matched pairs."""
    with gzip.open(folder / "judgements.jsonl.gz", "rt", encoding="utf-8") as lines:
        judged = [json.loads(line) for line in lines]
    labels = np.array([line["label"] == "grounded" for line in judged], dtype=np.int64)
    lengths = np.array([len(line["response"]) for line in judged])
    scores = np.array([checker.support(line["response"], [line["context"]]) for line in judged])
    matched = matched_pairs(labels, lengths)
    return {
        "judgements": len(judged),
        "auroc": round(float(roc_auc_score(labels, scores)), 4),
        "auroc_of_length_alone": round(float(roc_auc_score(labels, -lengths)), 4),
        "auroc_within_length_strata": round(stratified_auroc(labels, scores, lengths), 4),
        "matched_pairs": len(matched) // 2,
        "auroc_on_matched_pairs": round(float(roc_auc_score(labels[matched], scores[matched])), 4),
        "auroc_of_length_on_matched_pairs": round(float(roc_auc_score(labels[matched], -lengths[matched])), 4),
    }


def stratified_auroc(labels: Labels, scores: Scores, lengths: Labels, edges: Sequence[int] = _STRATA) -> float:
    """Mean of the AUROC in each stratum of length, weighted by its number of (positive, negative) pairs."""
    total = weight = 0.0
    for low, high in pairwise(edges):
        inside = (lengths >= low) & (lengths < high)
        pairs = int(labels[inside].sum()) * int((1 - labels[inside]).sum())
        if pairs:
            total += pairs * float(roc_auc_score(labels[inside], scores[inside]))
            weight += pairs
    return total / weight


def matched_pairs(labels: Labels, lengths: Labels) -> list[int]:
    """Indices of pairs (positive, negative) of like length, each used once, the longest positives first."""
    free = set(np.flatnonzero(labels == 0).tolist())
    chosen: list[int] = []
    for positive in sorted(np.flatnonzero(labels == 1).tolist(), key=lambda i: (-lengths[i], i)):
        near = [negative for negative in free if abs(lengths[negative] - lengths[positive]) <= _MATCH_CHARS]
        if near:
            best = min(near, key=lambda i: (abs(lengths[i] - lengths[positive]), i))
            free.discard(best)
            chosen += [positive, best]
    return chosen


def measure_scripted(checker: EntailmentSupport, data: Path, seed: int) -> dict[str, Any]:
    """Removed shares at the service's threshold, and the operating curve of the plausible ones."""
    script = Script(squad_passages(data, range(13, 18)), seed)
    sentences: list[ScriptedSentence] = []
    for kind in BAD_KINDS:
        for number in range(_ANSWERS_A_KIND):
            sentences.append(script.sentence(kind))
            sentences += [script.sentence(GOOD_KINDS[(number + i) % len(GOOD_KINDS)]) for i in range(_GOOD_AN_ANSWER)]
    support = [_support(checker, sentence) for sentence in sentences]
    kinds = [sentence.kind for sentence in sentences]
    by_kind: dict[str, Scores] = {
        kind: np.array([s for s, k in zip(support, kinds, strict=True) if k == kind])
        for kind in (*GOOD_KINDS, *BAD_KINDS)
    }
    good = np.concatenate([by_kind[kind] for kind in GOOD_KINDS])
    planted = np.concatenate([by_kind[kind] for kind in _REMOVED])
    return {
        "answers": _ANSWERS_A_KIND * len(BAD_KINDS),
        "threshold": SUPPORT_MIN,
        "planted_removed": _removed(planted),
        "good_removed": _removed(good),
        "by_kind": {kind: {"n": len(values), "removed": _removed(values)} for kind, values in sorted(by_kind.items())},
        "plausible_curve": [
            {
                "threshold": threshold,
                "plausible_removed": _removed(by_kind["plausible"], threshold),
                "good_removed": _removed(good, threshold),
            }
            for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
        ],
        "calibration": _calibration(np.concatenate([good, planted]), len(good)),
    }


def _support(checker: EntailmentSupport, sentence: ScriptedSentence) -> float:
    """As the citation check does it for a sentence that cites a whole passage."""
    hit = passage_hit(sentence.passage)
    return checker.support(sentence.text, [best_quote(sentence.text, hit).text], [f"{hit.title}\n{hit.text}"])


def _removed(support: Scores, threshold: float = SUPPORT_MIN) -> float:
    return round(float((support < threshold).mean()), 4)


def _calibration(support: Scores, good: int) -> list[dict[str, float | int]]:
    """Stated against observed share of good sentences, in five equal ranges of the probability."""
    labels = np.arange(len(support)) < good
    rows: list[dict[str, float | int]] = []
    for low in np.arange(0, 1, 0.2):
        inside = (support >= low) & ((support < low + 0.2) | (low + 0.2 >= 1))
        if inside.any():
            rows.append(
                {
                    "stated": round(float(support[inside].mean()), 3),
                    "observed": round(float(labels[inside].mean()), 3),
                    "n": int(inside.sum()),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the support checker on data it was not fitted to.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--weights", type=Path, default=_WEIGHTS)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    runtime = ModelRuntime()
    checker = EntailmentSupport(
        runtime,
        SentenceTransformerEncoder("all-MiniLM-L6-v2"),
        SupportWeights.load(options.weights),
        timeout_s=600,
    )
    report = {
        "halueval_qa_one_turn": measure_halueval(checker, options.data / "halueval_qa_one_turn"),
        "scripted answers": measure_scripted(checker, options.data, options.seed),
    }
    runtime.close()
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
