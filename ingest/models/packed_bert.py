"""BERT encoders on a CPU, spared everything that is not arithmetic.

A question has a dozen tokens: most of the general forward's time goes into converting weights to bfloat16 again,
reading them in an order that suits training, and a few hundred small steps of Python. Here the weights lie packed as
oneDNN multiplies them (by the operators that torch's own compiler emits), the three projections of attention are one,
GELU is part of the product before it, and padding is not computed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_LOG = logging.getLogger(__name__)
_POOLINGS = ("mean", "cls")


class PackedEncoder:
    """The embeddings and layers of a BERT model, which may be changed or freed afterwards; `dtype` is that of the
    products, sums and norms stay in float32. Its methods may be called by several threads.
    """

    def __init__(self, bert: Any, *, dtype: torch.dtype) -> None:
        embeddings = bert.embeddings
        self._heads = int(bert.config.num_attention_heads)
        self._eps = float(bert.config.layer_norm_eps)
        self._embeddings = [
            embeddings.word_embeddings.weight.detach(),
            embeddings.position_embeddings.weight.detach(),
            embeddings.token_type_embeddings.weight.detach(),
            *_norm(embeddings.LayerNorm),
        ]
        self._layers = [_packed_layer(layer, dtype) for layer in bert.encoder.layer]
        self._states, self._pooled = _compiled(_encode), _compiled(_encode_and_pool)

    def states(
        self, token_ids: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None = None
    ) -> tuple[Tensor, Batch]:
        """The last layer's states, float32 of shape (tokens, width), and which text and place each is of. `token_ids`
        of each text with its special tokens; `segments` of the same lengths, by default all 0.
        """
        ids, lengths = _flat(token_ids), _lengths(token_ids)
        kinds = torch.zeros_like(ids) if segments is None else _flat(segments)
        states, *batch = self._states(ids, kinds, lengths, self._embeddings, self._layers, self._heads, self._eps)
        return states, Batch(*batch)

    def pooled(self, token_ids: Sequence[Sequence[int]], *, pooling: str, words: Tensor | None = None) -> Tensor:
        """float32 of shape (n, width), rows of length 1: of the first token's state (`cls`), or of the `mean`.

        `words`, float32 of shape (n_words, width), is the table that `token_ids` are rows of, by default the model's.
        """
        ids, lengths = _flat(token_ids), _lengths(token_ids)
        embeddings = self._embeddings if words is None else [words, *self._embeddings[1:]]
        vectors: Tensor = self._pooled(
            ids, torch.zeros_like(ids), lengths, embeddings, self._layers, self._heads, self._eps, pooling
        )
        return vectors


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
        return np.asarray(self._encoder.pooled(token_ids, pooling=self._pooling).numpy(), dtype=np.float32)


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
    """Texts up to `longest` tokens long, one after the other.

    `cells` are the tokens' places in a padded table of shape (rows, longest), flat.
    """

    rows: int
    longest: int
    cells: Tensor

    def padded(self, states: Tensor) -> Tensor:
        """(tokens, width) to (rows, longest, width), zeros where there is no token."""
        return _padded(states, self.cells, self.rows, self.longest).view(self.rows, self.longest, -1)


def _packed_layer(layer: Any, dtype: torch.dtype) -> list[Tensor]:
    """The weights of a layer in the order in which `_encode` takes them, each with its bias."""
    attention = layer.attention
    return [
        *_packed_linear(attention.self.query, attention.self.key, attention.self.value, dtype=dtype),
        *_packed_linear(attention.output.dense, dtype=dtype),
        *_norm(attention.output.LayerNorm),
        *_packed_linear(layer.intermediate.dense, dtype=dtype),
        *_packed_linear(layer.output.dense, dtype=dtype),
        *_norm(layer.output.LayerNorm),
    ]


def _packed_linear(*layers: Any, dtype: torch.dtype) -> list[Tensor]:
    """Linear layers beside each other, packed as one."""
    weight = torch.cat([layer.weight for layer in layers]).to(dtype)
    bias = torch.cat([layer.bias for layer in layers]).to(dtype)
    return [torch.ops.mkldnn._reorder_linear_weight(weight), bias.detach()]


def _norm(layer: Any) -> list[Tensor]:
    return [layer.weight.detach(), layer.bias.detach()]


def _flat(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.from_numpy(np.fromiter(chain.from_iterable(rows), np.int64))


def _lengths(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.from_numpy(np.fromiter(map(len, rows), np.int64))


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one call that runs without Python and its lock; itself, where torch cannot compile it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch.export has no such call without a C++ compiler
            return cast(Callable[..., Any], torch.jit.script(function))
    except Exception:  # noqa: BLE001 - whatever it is: it computes the same in Python
        _LOG.warning("the encoder holds up other threads: torch cannot compile it", exc_info=True)
        return function


# What follows is compiled, so it keeps to what TorchScript knows.


def _encode_and_pool(
    ids: Tensor,
    kinds: Tensor,
    lengths: Tensor,
    embeddings: list[Tensor],
    layers: list[list[Tensor]],
    heads: int,
    eps: float,
    pooling: str,
) -> Tensor:
    states = _encode(ids, kinds, lengths, embeddings, layers, heads, eps)[0]
    if pooling == "cls":
        pooled = states[lengths.cumsum(0) - lengths]
    else:  # the sum has the direction of the mean
        owners = torch.repeat_interleave(lengths)
        pooled = states.new_zeros([lengths.size(0), states.size(1)]).index_add_(0, owners, states)
    return functional.normalize(pooled, dim=1)


def _encode(
    ids: Tensor,
    kinds: Tensor,
    lengths: Tensor,
    embeddings: list[Tensor],
    layers: list[list[Tensor]],
    heads: int,
    eps: float,
) -> tuple[Tensor, int, int, Tensor]:
    """States of texts of `lengths`, float32 of shape (tokens, width), and the fields of their `Batch`."""
    rows, longest, width = lengths.size(0), int(lengths.max()), embeddings[0].size(1)
    table = torch.arange(longest).unsqueeze(0) < lengths.unsqueeze(1)
    cells = table.flatten().nonzero()[:, 0]
    places = cells - torch.repeat_interleave(lengths) * longest
    visible: Tensor | None = None
    if cells.size(0) < rows * longest:
        visible = table.unsqueeze(1).unsqueeze(1)
    states = embeddings[0][ids] + embeddings[1][places] + embeddings[2][kinds]
    states = functional.layer_norm(states, [width], embeddings[3], embeddings[4], eps)
    for layer in layers:
        joint = _padded(_linear(states, layer[0], layer[1]), cells, rows, longest)
        joint = joint.view(rows, longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(joint[0], joint[1], joint[2], attn_mask=visible)
        mixed = mixed.transpose(1, 2).reshape(rows * longest, -1)
        if visible is not None:
            mixed = mixed[cells]
        attended = _linear(mixed, layer[2], layer[3]) + states
        attended = functional.layer_norm(attended, [width], layer[4], layer[5], eps)
        inner = _linear(attended, layer[6], layer[7], gelu=True)
        output = _linear(inner, layer[8], layer[9]) + attended
        states = functional.layer_norm(output, [width], layer[10], layer[11], eps)
    return states, rows, longest, cells


def _padded(states: Tensor, cells: Tensor, rows: int, longest: int) -> Tensor:
    """(tokens, width) to (rows * longest, width), zeros where there is no token."""
    if cells.size(0) == rows * longest:
        return states
    return states.new_zeros([rows * longest, states.size(1)]).index_copy_(0, cells, states)


def _linear(states: Tensor, weight: Tensor, bias: Tensor, gelu: bool = False) -> Tensor:
    scalars: list[int | float | complex | None] = []
    after, kind = ("gelu", "none") if gelu else ("none", "")
    product: Tensor = torch.ops.mkldnn._linear_pointwise(states.to(bias.dtype), weight, bias, after, scalars, kind)
    return product
