"""What training minimises: one loss for each head of the joint network, on the examples of one microbatch.

Relevance: softmax cross-entropy over the passages of an answerable question (the listwise loss of Cao et al., ICML
2007, with one relevant item). No answer: binary cross-entropy, both classes weighted alike. Spans: cross-entropy over
the tokens' start and end logits, whose null position is the target where the passage does not answer.

Where a teacher gave its opinion of a pair, the last two are taken to a mixture of label and opinion (Hinton et al.,
2015, at temperature 1); a span that no label tells is taken to the opinion alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from eval.finetune.batches import Target
from ingest.models.network import Logits


@dataclass(frozen=True, slots=True)
class Objective:
    """Weights of the losses; 0 leaves a head untrained."""

    relevance: float = 1.0
    no_answer: float = 1.0
    spans: float = 1.0


OPINION_SHARE = 0.5
"""Of the target, where there is both an opinion and a label."""


OBJECTIVES = {
    "joint": Objective(),
    "reranker": Objective(no_answer=0.0, spans=0.0),
    "reader": Objective(relevance=0.0),
}


def loss_of(logits: Logits, targets: Sequence[Target], objective: Objective) -> tuple[Tensor, dict[str, float]]:
    """The sum over examples (not the mean: microbatches add up), and each head's part by name, unweighted."""
    parts = {
        "relevance": _relevance(logits.relevance, targets),
        "no_answer": _no_answer(logits.no_answer, targets),
        "spans": _spans(logits, targets),
    }
    total = objective.relevance * parts["relevance"]
    total = total + objective.no_answer * parts["no_answer"] + objective.spans * parts["spans"]
    return total, {name: float(part.detach()) for name, part in parts.items()}


def _relevance(scores: Tensor, targets: Sequence[Target]) -> Tensor:
    sizes: dict[int, list[int]] = {}
    for row, target in enumerate(targets):
        sizes.setdefault(target.example, []).append(row)
    losses = [
        torch.logsumexp(scores[rows], 0) - scores[rows[0]]
        for rows in sizes.values()
        if targets[rows[0]].answers and len(rows) > 1
    ]
    return torch.stack(losses).sum() if losses else scores.sum() * 0


def _no_answer(logits: Tensor, targets: Sequence[Target]) -> Tensor:
    expected = torch.tensor([_expected_no_answer(target) for target in targets], device=logits.device)
    weights = torch.tensor([target.weight for target in targets], device=logits.device)
    return (functional.binary_cross_entropy_with_logits(logits, expected, reduction="none") * weights).sum()


def _expected_no_answer(target: Target) -> float:
    label = float(not target.answers)
    if target.opinion is None:
        return label
    return label + OPINION_SHARE * (1 / (1 + math.exp(-target.opinion.no_answer)) - label)


def _spans(logits: Logits, targets: Sequence[Target]) -> Tensor:
    rows = [row for row, target in enumerate(targets) if target.span is not None or target.opinion is not None]
    if not rows:
        return logits.starts[:, 0].sum() * 0
    weights = torch.tensor([targets[row].weight for row in rows], device=logits.starts.device)
    starts = _divergence(logits.starts[rows], [targets[row] for row in rows], 0)
    ends = _divergence(logits.ends[rows], [targets[row] for row in rows], 1)
    return ((starts + ends) / 2 * weights).sum()


def _divergence(logits: Tensor, targets: Sequence[Target], side: int) -> Tensor:
    """Cross-entropy of the expected starts (side 0) or ends (1), less that of the expected ones themselves."""
    expected = torch.zeros(logits.shape)
    for row, target in enumerate(targets):
        opinion, share = target.opinion, 1.0
        if opinion is not None:
            probabilities = torch.from_numpy((opinion.ends if side else opinion.starts).astype(np.float32))
            share = 1 - OPINION_SHARE if target.span is not None else 0.0
            expected[row, : len(probabilities)] = (1 - share) * probabilities
        if target.span is not None:
            expected[row, target.span[side]] += share
    expected = expected.to(logits.device)
    likelihood = functional.log_softmax(logits, dim=1).masked_fill(expected == 0, 0.0)
    divergence: Tensor = torch.special.entr(expected).neg().sum(1) - (expected * likelihood).sum(1)
    return divergence
