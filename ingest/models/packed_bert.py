"""BERT encoders on a CPU, spared everything that is not arithmetic.

A question has a dozen tokens: most of the general forward's time goes into converting weights to bfloat16 again,
reading them in an order that suits training, and a few hundred small steps of Python. Here the weights lie packed as
oneDNN multiplies them (by the operators that torch's own compiler emits), the three projections of attention are one,
GELU is part of the product before it, and padding is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_POOLINGS = ("mean", "cls")


class PackedEncoder:
    """The embeddings and layers of a BERT model, which may be changed or freed afterwards; `dtype` is that of the
    products, sums and norms stay in float32. `states` may be called by several threads.
    """

    def __init__(self, bert: Any, *, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._heads = int(bert.config.num_attention_heads)
        embeddings = bert.embeddings
        self._words = embeddings.word_embeddings.weight
        self._places, self._segments = embeddings.position_embeddings.weight, embeddings.token_type_embeddings.weight
        self._norm = embeddings.LayerNorm
        self._layers = [_Layer.pack(layer, dtype) for layer in bert.encoder.layer]

    def states(
        self, token_ids: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None = None
    ) -> tuple[Tensor, Batch]:
        """The last layer's states, float32 of shape (tokens, width), and which text and place each is of. `token_ids`
        of each text with its special tokens; `segments` of the same lengths, by default all 0.
        """
        batch = Batch.of([len(ids) for ids in token_ids])
        words = functional.embedding(_flat(token_ids), self._words)
        kinds = self._segments[0] if segments is None else self._segments[_flat(segments)]
        states = self._norm(words + self._places[batch.places] + kinds)
        for layer in self._layers:
            states = layer.forward(states, batch, heads=self._heads, dtype=self._dtype)
        return states, batch


class PackedBert:
    """A BERT encoder with its pooling. Vectors are the model's own but for the rounding of `dtype`.

    Made by `pack`; `forward` may be called by several threads.
    """

    def __init__(self, bert: Any, *, pooling: str, dtype: torch.dtype) -> None:
        self._pooling = pooling
        self._encoder = PackedEncoder(bert, dtype=dtype)

    @torch.inference_mode()
    def forward(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """float32 of shape (n, dimensions), rows of length 1; `token_ids` of each text with its special tokens."""
        states, batch = self._encoder.states(token_ids)
        if self._pooling == "cls":
            pooled = states[batch.places == 0]
        else:  # the sum has the direction of the mean
            pooled = states.new_zeros(batch.rows, states.shape[1]).index_add_(0, batch.owners, states)
        return np.asarray(functional.normalize(pooled, dim=1).numpy(), dtype=np.float32)


def pack(model: Any, dtype: torch.dtype) -> PackedBert | None:
    """The packed form of a SentenceTransformer; None for what is not plain BERT in float32 on a CPU with oneDNN."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    modules = list(model)
    bert = getattr(modules[0], "auto_model", None)
    if (
        len(modules) < 2
        or type(modules[0]) is not Transformer
        or type(modules[1]) is not Pooling
        or any(type(module) is not Normalize for module in modules[2:])
    ):
        return None
    pooling = modules[1].get_config_dict()
    plain = pooling["pooling_mode"] in _POOLINGS and pooling["include_prompt"] and isinstance(model.max_seq_length, int)
    with torch.inference_mode():
        return PackedBert(bert, pooling=pooling["pooling_mode"], dtype=dtype) if plain and can_pack(bert) else None


def can_pack(bert: Any) -> bool:
    """Whether the model is a plain BERT in float32 on a CPU with oneDNN."""
    from transformers import BertModel

    return (
        type(bert) is BertModel
        and bert.config.hidden_act == "gelu"
        and getattr(bert.config, "position_embedding_type", "absolute") == "absolute"
        and not bert.config.is_decoder
        and all(parameter.dtype == torch.float32 for parameter in bert.parameters())
        and bert.device.type == "cpu"
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of `rows` lengths, up to `longest`, one after the other: the text of each token, and its place there.

    `cells` are the tokens' places in a padded table of shape (rows, longest), flat, and `visible` (rows, 1, 1,
    longest) says which cells are tokens; both None where all texts are of one length.
    """

    rows: int
    longest: int
    owners: Tensor
    places: Tensor
    cells: Tensor | None
    visible: Tensor | None

    @classmethod
    def of(cls, lengths: Sequence[int]) -> Batch:
        rows, longest = len(lengths), max(lengths)
        owners = torch.repeat_interleave(torch.tensor(lengths))
        if min(lengths) == longest:
            return cls(rows, longest, owners, torch.arange(longest).repeat(rows), None, None)
        visible = torch.arange(longest) < torch.tensor(lengths)[:, None]
        cells = visible.flatten().nonzero()[:, 0]
        return cls(rows, longest, owners, cells - owners * longest, cells, visible[:, None, None, :])

    def padded(self, states: Tensor) -> Tensor:
        """(tokens, width) to (rows, longest, width), zeros where there is no token."""
        if self.cells is not None:
            states = states.new_zeros(self.rows * self.longest, states.shape[1]).index_copy_(0, self.cells, states)
        return states.view(self.rows, self.longest, -1)

    def flat(self, states: Tensor) -> Tensor:
        """The reverse of `padded`."""
        states = states.reshape(self.rows * self.longest, -1)
        return states if self.cells is None else states[self.cells]


@dataclass(frozen=True, slots=True)
class _Linear:
    """Linear layers beside each other, their weights packed as one; GELU follows where `gelu` is set."""

    weight: Tensor
    bias: Tensor
    gelu: bool

    @classmethod
    def pack(cls, *layers: Any, dtype: torch.dtype, gelu: bool = False) -> _Linear:
        weight = torch.cat([layer.weight for layer in layers]).to(dtype)
        bias = torch.cat([layer.bias for layer in layers]).to(dtype)
        return cls(torch.ops.mkldnn._reorder_linear_weight(weight), bias, gelu)

    def __call__(self, states: Tensor) -> Tensor:
        after: tuple[str, list[float], str] = ("gelu", [], "none") if self.gelu else ("none", [], "")
        product: Tensor = torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, *after)
        return product


@dataclass(frozen=True, slots=True)
class _Layer:
    joint: _Linear
    attended: _Linear
    attended_norm: Any
    inner: _Linear
    output: _Linear
    output_norm: Any

    @classmethod
    def pack(cls, layer: Any, dtype: torch.dtype) -> _Layer:
        attention = layer.attention
        return cls(
            _Linear.pack(attention.self.query, attention.self.key, attention.self.value, dtype=dtype),
            _Linear.pack(attention.output.dense, dtype=dtype),
            attention.output.LayerNorm,
            _Linear.pack(layer.intermediate.dense, dtype=dtype, gelu=True),
            _Linear.pack(layer.output.dense, dtype=dtype),
            layer.output.LayerNorm,
        )

    def forward(self, states: Tensor, batch: Batch, *, heads: int, dtype: torch.dtype) -> Tensor:
        """States of shape (tokens, width), float32, to the next layer's; sums and norms stay in float32."""
        joint = batch.padded(self.joint(states.to(dtype))).view(batch.rows, batch.longest, 3, heads, -1)
        queries, keys, values = joint.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=batch.visible)
        states = self.attended_norm(self.attended(batch.flat(mixed.transpose(1, 2))) + states)
        result: Tensor = self.output_norm(self.output(self.inner(states.to(dtype))) + states)
        return result


def _flat(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([value for row in rows for value in row])
