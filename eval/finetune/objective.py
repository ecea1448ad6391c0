"""What training minimises: one loss for each head of the joint network, on the examples of one microbatch.

Relevance: softmax cross-entropy over the passages of an answerable question (the listwise loss of Cao et al., ICML
2007, with one relevant item). No answer: binary cross-entropy, both classes weighted alike. Spans: cross-entropy over
the tokens' start and end logits, whose null position is the target where the passage does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    labels = torch.tensor([float(not target.answers) for target in targets], device=logits.device)
    weights = torch.tensor([target.weight for target in targets], device=logits.device)
    return (functional.binary_cross_entropy_with_logits(logits, labels, reduction="none") * weights).sum()


def _spans(logits: Logits, targets: Sequence[Target]) -> Tensor:
    rows = [row for row, target in enumerate(targets) if target.span is not None]
    if not rows:
        return logits.starts[:, 0].sum() * 0
    gold = torch.tensor([targets[row].span for row in rows], device=logits.starts.device)
    weights = torch.tensor([targets[row].weight for row in rows], device=logits.starts.device)
    starts = functional.cross_entropy(logits.starts[rows], gold[:, 0], reduction="none")
    ends = functional.cross_entropy(logits.ends[rows], gold[:, 1], reduction="none")
    return ((starts + ends) / 2 * weights).sum()
