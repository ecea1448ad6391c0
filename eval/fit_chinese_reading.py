"""Fits what reads Chinese answers: `python -m eval.fit_chinese_reading --data DIR --out FILE`.

The network over spans learns from the `train` parts of `drcd_dev` and `cmrc2018_trial`, the confidence from their
`choose` parts without a third of the gold passages; each learns from questions of our own as well, worded as
people ask who have not read the document (`eval.written_sets`): the confidence from what networks say of them that
learnt from the other half of their documents only. A question's loss is what all spans that say its answer
leave of the probability (maximum marginal likelihood; Clark and Gardner, ACL 2018, section 3.2). Deterministic for a
seed.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from eval.fit_reading import logistic, removed_passages
from eval.measures import is_correct_answer, token_f1
from eval.passage_index import PassageIndex
from eval.public_sets import SetPart, SetQuestion, home_of, load_part
from eval.written_sets import CMRC_TRAIN, DRCD_TRAIN, MANUALS_ZH_CHOOSE, MANUALS_ZH_TRAIN, load_written
from generate.chinese.assessor import CONFIDENCE_FEATURES, confidence_features, quoted_spans
from generate.chinese.features import COLUMNS
from generate.chinese.likeness import CosineLikeness
from generate.chinese.reader import Likeness, Read, SpanNetwork, read
from generate.settings import GenerateSettings
from ingest.models import Encoder, ModelRuntime, TwoScriptEncoder, load_embedder
from retrieve import RetrieveSettings
from retrieve.merging import merge_neighbours

EMBEDDER = "all-MiniLM-L6-v2+multilingual-e5-small"
LEXICAL_EMBEDDER = "all-MiniLM-L6-v2"
SETS = ("drcd_dev", "cmrc2018_trial")
WRITTEN = (DRCD_TRAIN, CMRC_TRAIN, MANUALS_ZH_TRAIN)
"""What the network learns from beside the sets' `train` parts."""

_HIDDEN, _DROPOUT = 32, 0.2
_EPOCHS, _QUESTIONS_A_STEP, _LEARNING_RATE, _WEIGHT_DECAY = 8, 16, 4e-3, 0.02
_WRONG_MAX = 300
_RIGHT_F1, _NEAR_F1, _NEAR_WEIGHT = 0.99, 0.6, 0.15
_SCALE_LEAST = 0.05
_TIMEOUT_S = 60.0
_REMEMBERED = 1 << 16
_PROGRESS = Console(stderr=True)

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question with the spans that were read for it, and the F1 of each with its answers, float32 of (n_spans,)."""

    question: SetQuestion
    read: Read
    f1: FloatArray


def fit(data: Path, *, seed: int, lexical: bool = False) -> dict[str, Any]:
    """The weights as `ChineseWeights.load` reads them, with what they were fitted on; `lexical`: for installations
    without a model that reads Chinese.
    """
    encoder, runtime = load_embedder(LEXICAL_EMBEDDER if lexical else EMBEDDER), ModelRuntime()
    public, written = [load_part(data / name, "train") for name in SETS], [load_written(one, data) for one in WRITTEN]
    learnt = [one for part in public for one in asked(part, encoder, runtime)]
    worded = [one for part in written for one in asked(part, encoder, runtime)]
    network = trained([*learnt, *worded], seed=seed)
    parts = [load_part(data / name, "choose") for name in SETS]
    judged = [one for part in parts for one in asked(part, encoder, runtime, removed=removed_passages(part, seed))]
    manuals = load_written(MANUALS_ZH_CHOOSE, data)
    judged += asked(manuals, encoder, runtime)
    judged += asked(manuals, encoder, runtime, removed=removed_passages(manuals, seed))
    runtime.close()
    rows, right = [], []
    for one, judge in [*((one, network) for one in judged), *out_of_fold(learnt, worded, seed=seed)]:
        quoted = quoted_spans(one.read, judge)
        rows.append(confidence_features(one.read, quoted))
        right.append(is_correct_answer(quoted[0].quote.text, one.question.answers))
    return {
        "columns": COLUMNS,
        "confidence_features": list(CONFIDENCE_FEATURES),
        "confidence": logistic(rows, right),
        "spans": {
            "fitted_on": {
                "questions": len(learnt) + len(worded),
                "sets": [part.name for part in (*public, *written)],
            },
            **{
                name: np.round(getattr(network, name).astype(float), 4).tolist()
                for name in ("weights", "bias", "output")
            },
        },
    }


def out_of_fold(learnt: Sequence[Asked], worded: Sequence[Asked], *, seed: int) -> Iterator[tuple[Asked, SpanNetwork]]:
    """Each question of `worded` with a network that saw `learnt`, and of `worded` no question about its document."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    homes = sorted({home_of(one.question) or "" for one in worded})
    first = frozenset(draw.sample(homes, len(homes) // 2))
    for half in (True, False):
        seen = [one for one in worded if ((home_of(one.question) or "") in first) is not half]
        network = trained([*learnt, *seen], seed=seed)
        yield from ((one, network) for one in worded if ((home_of(one.question) or "") in first) is half)


def asked(
    part: SetPart, encoder: Encoder, runtime: ModelRuntime, *, removed: frozenset[str] = frozenset()
) -> Iterator[Asked]:
    """Questions of the part over its passages, through the service's own stages; those without a span are left out."""
    index = PassageIndex([p for p in part.passages if p.document_id not in removed], encoder, runtime)
    likeness = likeness_of(encoder, runtime)
    depth = RetrieveSettings.model_validate({}).rerank_candidates
    top_k = GenerateSettings.model_validate({}).ask_top_k
    for question in track(part.questions, part.name, console=_PROGRESS):
        hits = merge_neighbours(index.search(question.question, top_k=depth))[:top_k]
        ranked = [replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]
        found = read(question.question, ranked, likeness, passages_alike=likeness is not None)
        if found is not None:
            yield Asked(question, found, span_f1(found, question))


def likeness_of(encoder: Encoder, runtime: ModelRuntime) -> Likeness | None:
    """As the service compares meanings: by the second of two models, or not at all."""
    if not isinstance(encoder, TwoScriptEncoder):
        return None
    return CosineLikeness(runtime, encoder.other, timeout_s=_TIMEOUT_S, remembered=_REMEMBERED)


def span_f1(found: Read, question: SetQuestion) -> FloatArray:
    """F1 of each span with the answers, float32 of shape (n_spans,); 0 in passages that are not gold."""
    scores = np.zeros(len(found.owner), dtype=np.float32)
    for row, owner in enumerate(found.owner.tolist()):
        if found.sentences[owner].hit.document_id in question.gold:
            sentence, span = found.span(row)
            scores[row] = token_f1(sentence.hit.text[span.start : span.end], question.answers)
    return scores


def trained(questions: Sequence[Asked], *, seed: int) -> SpanNetwork:
    """The network, with the features' means and scales folded into its first layer; it learns from the questions that
    a span answers, or nearly.
    """
    questions = [one for one in questions if one.f1.max() >= _NEAR_F1]
    torch.manual_seed(seed)
    draw = random.Random(seed)  # noqa: S311 - not a secret
    mean = np.mean([one.read.features.mean(0) for one in questions], axis=0)
    square = np.mean([(one.read.features**2).mean(0) for one in questions], axis=0)
    scale = np.sqrt(np.maximum(square - mean**2, 0)) + _SCALE_LEAST
    hidden, output = nn.Linear(COLUMNS, _HIDDEN), nn.Linear(_HIDDEN, 1, bias=False)
    network = nn.Sequential(hidden, nn.ReLU(), nn.Dropout(_DROPOUT), output)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = -(-len(questions) // _QUESTIONS_A_STEP)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_EPOCHS * steps)
    for _ in track(range(_EPOCHS), "training", console=_PROGRESS):
        order = draw.sample(list(questions), len(questions))
        for begin in range(0, len(order), _QUESTIONS_A_STEP):
            step = order[begin : begin + _QUESTIONS_A_STEP]
            losses = []
            for one in step:
                rows, targets = drawn(one.f1, draw)
                logits = network(torch.from_numpy((one.read.features[rows] - mean) / scale).float())[:, 0]
                losses.append(_marginal_loss(logits, torch.from_numpy(targets)))
            optimizer.zero_grad()
            torch.autograd.backward(torch.stack(losses).mean())
            optimizer.step()
            schedule.step()
    first = hidden.weight.detach().numpy().T / scale[:, None]
    return SpanNetwork(
        first.astype(np.float32),
        (hidden.bias.detach().numpy() - mean @ first).astype(np.float32),
        output.weight.detach().numpy()[0].astype(np.float32),
    )


def drawn(f1: FloatArray, draw: random.Random) -> tuple[list[int], FloatArray]:
    """Rows to learn from, with how much each counts as right: spans that are near count little beside exact ones."""
    exact = float(f1.max()) >= _RIGHT_F1
    best = _RIGHT_F1 if exact else float(f1.max()) - 0.01
    right = np.flatnonzero(f1 >= best).tolist()
    near = np.flatnonzero((f1 >= _NEAR_F1) & (f1 < best)).tolist() if exact else []
    wrong = np.flatnonzero(f1 < _NEAR_F1).tolist()
    rows = [*right, *near, *(draw.sample(wrong, _WRONG_MAX) if len(wrong) > _WRONG_MAX else wrong)]
    targets = np.zeros(len(rows), dtype=np.float32)
    targets[: len(right)] = 1.0
    targets[len(right) : len(right) + len(near)] = _NEAR_WEIGHT * f1[near]
    return rows, targets


def _marginal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.logsumexp(logits, 0) - torch.logsumexp(logits + torch.log(targets + 1e-9), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit what reads answers in Chinese passages.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--lexical", action="store_true", help="for installations without a model that reads Chinese")
    arguments = parser.parse_args()
    fitted = fit(arguments.data, seed=arguments.seed, lexical=arguments.lexical)
    arguments.out.write_text(json.dumps(fitted, indent=None) + "\n")


if __name__ == "__main__":
    main()
