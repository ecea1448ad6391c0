"""The multi-task cross-encoder: one BERT encoder with low-rank adapters, and heads for relevance, refusal and spans.

Low-rank adaptation by Hu et al., ICLR 2022: a linear layer W becomes W + B A with A of shape (rank, in) and B of shape
(out, rank). While training the product stays apart (`LowRank`); for serving it is merged into a copy of the layers.
The null answer of the span head stands at the first token, as in Devlin et al. (2019) for SQuAD 2.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_HEAD_UNITS = 256


@dataclass(frozen=True, slots=True)
class Logits:
    """Of a batch: `relevance`, `no_answer` (n,), `starts`, `ends` (n, tokens); float32, padding at -inf.

    Position 0 of `starts` and `ends` is the null answer; the question's tokens are at -inf too.
    """

    relevance: Tensor
    no_answer: Tensor
    starts: Tensor
    ends: Tensor


class LowRank(nn.Module):
    """A frozen linear layer plus a trained product of two small matrices; starts out as the layer itself."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        low = functional.linear(inputs, self.down.to(inputs.dtype))
        output: Tensor = self.layer(inputs)
        return output + functional.linear(low, self.up.to(inputs.dtype))

    def merged(self) -> nn.Linear:
        """A linear layer of its own with the product added, in the frozen layer's number format."""
        merged = nn.Linear(self.layer.in_features, self.layer.out_features, dtype=self.layer.weight.dtype)
        with torch.no_grad():
            merged.weight.copy_(self.layer.weight.float() + self.up.float() @ self.down.float())
            merged.bias.copy_(self.layer.bias)
        return merged


class JointNetwork(nn.Module):
    """`encoder` is a BERT model whose linear layers get adapters of `rank`; its own weights are frozen."""

    def __init__(self, encoder: Any, rank: int) -> None:
        super().__init__()
        encoder.requires_grad_(False)
        self.encoder = encoder
        for parent, name, layer in list(_linear_layers(encoder.encoder)):
            setattr(parent, name, LowRank(layer, rank))
        size = int(encoder.config.hidden_size)
        self.pair_head = nn.Sequential(nn.Linear(2 * size, _HEAD_UNITS), nn.GELU(), nn.Linear(_HEAD_UNITS, 2))
        self.span_head = nn.Linear(size, 2)

    def forward(self, ids: Tensor, segments: Tensor, mask: Tensor) -> Logits:
        """`ids`, `segments`, `mask`: integers of shape (n, tokens); segment 1 is the passage, mask 0 is padding."""
        hidden = self.encoder(input_ids=ids, token_type_ids=segments, attention_mask=mask).last_hidden_state.float()
        return self.heads(hidden, segments, mask)

    def heads(self, hidden: Tensor, segments: Tensor, mask: Tensor) -> Logits:
        """Logits of the encoder's last states, float32 of shape (n, tokens, width)."""
        passage = (segments * mask).unsqueeze(-1).float()
        mean = (hidden * passage).sum(1) / passage.sum(1).clamp(min=1)
        pair = self.pair_head(torch.cat([hidden[:, 0], mean], dim=1))
        readable = (segments * mask).bool()
        readable[:, 0] = True
        starts, ends = self.span_head(hidden).masked_fill(~readable.unsqueeze(-1), float("-inf")).unbind(-1)
        return Logits(pair[:, 0], pair[:, 1], starts, ends)

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors that training changes, by name: adapters and heads."""
        return {name: tensor for name, tensor in self.state_dict().items() if _is_trained(name)}

    def load_trained_state(self, state: dict[str, Tensor]) -> None:
        """The reverse of `trained_state`. Raises `ValueError` unless the names are exactly the expected ones."""
        expected = set(self.trained_state())
        if set(state) != expected:
            raise ValueError(f"{len(expected ^ set(state))} tensors are missing or unknown")
        self.load_state_dict(state, strict=False)

    def fold(self) -> None:
        """Add the adapters to their layers, in the layers' number format; training ends with it."""
        for parent, name, adapter in list(_adapters(self.encoder)):
            setattr(parent, name, adapter.merged())

    def merge(self, dtype: torch.dtype, words: nn.Embedding | None = None) -> None:
        """Make the network ready to serve: adapters added to the layers, which become `dtype`; training ends with it.

        The embeddings stay in float32; `words`, if given, takes the place of the equal table of word embeddings, so
        that the largest part of the base model is in memory once.
        """
        self.fold()
        self.encoder.encoder.to(dtype)
        if words is not None:
            self.encoder.embeddings.word_embeddings = words
        if dtype != torch.float32:
            self.encoder.embeddings = _Converted(self.encoder.embeddings, dtype)


class _Converted(nn.Module):
    """The embeddings with their output in the layers' number format."""

    def __init__(self, embeddings: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.embeddings, self.dtype = embeddings, dtype

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        output: Tensor = self.embeddings(*inputs, **named)
        return output.to(self.dtype)


def _linear_layers(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                yield parent, name, child


def _adapters(module: nn.Module) -> Iterator[tuple[nn.Module, str, LowRank]]:
    for parent in module.modules():
        for name, child in parent.named_children():
            if isinstance(child, LowRank):
                yield parent, name, child


def _is_trained(name: str) -> bool:
    return name.endswith((".down", ".up", ".difference")) or name.startswith(("pair_head.", "span_head."))
