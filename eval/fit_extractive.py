"""Fits the weights of the extractive assessor: `python -m eval.fit_extractive --data DIR --out FILE`.

Reads public sets in the shared format, only the parts meant for fitting: sentence weights on the `train` part,
confidence weights on the `choose` part, a third of whose gold passages are left out of the corpus so that
unanswerable questions are met as the service meets them. Logistic regressions by scikit-learn; deterministic for a
seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from eval.measures import contains_answer
from eval.passage_index import Passage, PassageIndex
from generate.assessment import FEATURES, AssessmentWeights, SentenceAssessor
from generate.logistic import LogisticModel
from ingest.generations import GenerationSpec
from ingest.models import Encoder, ModelRuntime, SentenceTransformerEncoder
from retrieve import ANALYSER

_TOP_K = 8
_REMOVED_SHARE = 1 / 3
_PASSAGES_MAX = 400


@dataclass(frozen=True, slots=True)
class _Example:
    question: str
    answers: tuple[str, ...]
    gold: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """Passages with the questions asked of them."""

    passages: tuple[Passage, ...]
    examples: tuple[_Example, ...]


def fit(data: Path, *, questions: int, seed: int) -> dict[str, Any]:
    """Weights of all four models with their AUROC on the data they were fitted to (a sanity figure, not a result)."""
    encoder, runtime = SentenceTransformerEncoder("all-MiniLM-L6-v2"), ModelRuntime()
    english = [_squad(data, range(8), range(8, 10))]
    chinese = [_paragraphs(data / name) for name in ("drcd_dev", "cmrc2018_trial")]
    fitted: dict[str, Any] = {"features": list(FEATURES)}
    for prefix, sets in (("", english), ("lexical_", chinese)):
        rows = pd.concat([_sentence_rows(train, encoder, runtime, questions, seed) for train, _ in sets])
        fitted[f"{prefix}sentence"] = ranker = _logistic(rows)
        judged = pd.concat([_confidence_rows(choose, encoder, runtime, ranker, questions, seed) for _, choose in sets])
        fitted[f"{prefix}confidence"] = _at_even_odds(_logistic(judged))
    runtime.close()
    return fitted


def _logistic(rows: pd.DataFrame) -> dict[str, Any]:
    features, labels = rows[list(FEATURES)].to_numpy(), rows["label"].to_numpy()
    model = LogisticRegression(max_iter=1000).fit(features, labels)
    auroc = roc_auc_score(labels, model.predict_proba(features)[:, 1])
    return {
        "weights": [round(float(w), 4) for w in model.coef_[0]],
        "intercept": round(float(model.intercept_[0]), 4),
        "fitted_on": {"rows": len(rows), "positive": int(labels.sum()), "auroc": round(float(auroc), 4)},
    }


def _at_even_odds(model: dict[str, Any]) -> dict[str, Any]:
    """The model for a mix in which half of the best sentences are right: the fitted mix is much harder than most.

    Adds ln(wrong / right) to the intercept (prior correction; King and Zeng, Political Analysis 2001).
    """
    right = model["fitted_on"]["positive"]
    wrong = model["fitted_on"]["rows"] - right
    return {**model, "intercept": round(model["intercept"] + math.log(wrong / right), 4)}


def _sentence_rows(part: _Part, encoder: Encoder, runtime: ModelRuntime, questions: int, seed: int) -> pd.DataFrame:
    """One row a candidate sentence of questions whose answer was found; label: it holds it, in a gold passage."""
    collection = PassageIndex(part.passages, encoder, runtime)
    assessor = SentenceAssessor(runtime, lambda _: encoder, _UNFITTED, timeout_s=600)
    rows = []
    for example in track(_sample([e for e in part.examples if e.answers], questions, seed), "sentences"):
        found = assessor.feature_rows(example.question, collection.search(example.question, top_k=_TOP_K), _SPEC)
        labels = [q.hit.document_id == example.gold and contains_answer(q.text, example.answers) for q, _ in found]
        if any(labels):
            rows += [(*features, label) for (_, features), label in zip(found, labels, strict=True)]
    return pd.DataFrame(rows, columns=[*FEATURES, "label"])


def _confidence_rows(
    part: _Part, encoder: Encoder, runtime: ModelRuntime, ranker: dict[str, Any], questions: int, seed: int
) -> pd.DataFrame:
    """One row a question; label: the best sentence holds a gold answer. A third of the gold passages are missing."""
    golds = sorted({example.gold for example in part.examples if example.gold})
    removed = set(random.Random(seed).sample(golds, int(len(golds) * _REMOVED_SHARE)))  # noqa: S311 - not a secret
    collection = PassageIndex([p for p in part.passages if p.document_id not in removed], encoder, runtime)
    model = LogisticModel(tuple(ranker["weights"]), ranker["intercept"])
    assessor = SentenceAssessor(
        runtime, lambda _: encoder, AssessmentWeights(model, _FLAT, model, _FLAT), timeout_s=600
    )
    rows = []
    for example in track(_sample(part.examples, questions, seed), "confidence"):
        assessment = assessor.assess(example.question, collection.search(example.question, top_k=_TOP_K), _SPEC)
        if assessment.sentences:
            right = contains_answer(assessment.sentences[0].quote.text, example.answers)
            rows.append((*[assessment.features[name] for name in FEATURES], right))
    return pd.DataFrame(rows, columns=[*FEATURES, "label"])


def _squad(data: Path, train: range, choose: range) -> tuple[_Part, _Part]:
    """SQuAD 2.0 split by article, in file order."""
    corpus = list(_lines(data / "squad2_dev_a" / "corpus.jsonl.gz"))
    articles = list(dict.fromkeys(line["meta"]["article"] for line in corpus))
    questions = list(_lines(data / "squad2_dev_a" / "questions.jsonl.gz"))

    def part(indices: range) -> _Part:
        chosen = {articles[i] for i in indices}
        return _part([line for line in corpus if line["meta"]["article"] in chosen], questions)

    return part(train), part(choose)


def _paragraphs(folder: Path) -> tuple[_Part, _Part]:
    """Chinese paragraphs in file order: the first half trains, the next quarter chooses."""
    corpus = list(_lines(folder / "corpus.jsonl.gz"))
    questions = list(_lines(folder / "questions.jsonl.gz"))
    half, quarter = len(corpus) // 2, len(corpus) // 4
    train, choose = corpus[:half], corpus[half : half + quarter]
    return _part(train[:_PASSAGES_MAX], questions), _part(choose[:_PASSAGES_MAX], questions)


def _part(corpus: Sequence[dict[str, Any]], questions: Iterable[dict[str, Any]]) -> _Part:
    ids = {line["id"] for line in corpus}
    examples = [
        _Example(line["question"], tuple(line["answers"]), line["gold_doc_ids"][0] if line["gold_doc_ids"] else None)
        for line in questions
        if (line["gold_doc_ids"] or [line.get("meta", {}).get("source_doc_id")])[0] in ids
    ]
    return _Part(tuple(Passage(line["id"], line["title"] or "", line["text"]) for line in corpus), tuple(examples))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _sample(examples: Sequence[_Example], count: int, seed: int) -> list[_Example]:
    return random.Random(seed).sample(list(examples), min(count, len(examples)))  # noqa: S311 - not a secret


_FLAT = LogisticModel((0.0,) * len(FEATURES), 0.0)
_UNFITTED = AssessmentWeights(_FLAT, _FLAT, _FLAT, _FLAT)
_SPEC = GenerationSpec("all-MiniLM-L6-v2", "", 384, 200, 40, ANALYSER, "")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the extractive assessor.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--questions", type=int, default=150, help="questions a set and part")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    fitted = fit(arguments.data, questions=arguments.questions, seed=arguments.seed)
    arguments.out.write_text(json.dumps(fitted, indent=1) + "\n")


if __name__ == "__main__":
    main()
