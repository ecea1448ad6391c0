"""What a student learns from its teacher's hidden states: to have the same, up to a linear map.

The hidden states' part of TinyBERT (Jiao et al., Findings of EMNLP 2020), at two depths: two thirds of the layers, and
the last. A teacher's answer is one place of a passage, or none; its states are some hundred thousand numbers a pair, of
everything that it knows of a token among its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ingest.models.network import JointNetwork, Logits

DEPTHS = (2 / 3, 1.0)
"""Of the stack of layers, for student and teacher alike."""

STATES_WEIGHT = 12.0
"""Of this part of the loss; at 5 its gradient is about as large as that of labels and opinions."""

_WEIGHTS = (0.5, 1.0)
_RIDGE = 0.01
_FAR = 6.0
"""In standard deviations: a teacher's states have a few coordinates that are no use as a target beyond."""


def with_states(network: JointNetwork, ids: Tensor, segments: Tensor, mask: Tensor) -> tuple[Logits, list[Tensor]]:
    """The network's logits, and its states (n, tokens, width) at `DEPTHS`, float32."""
    output = network.encoder(
        input_ids=ids, token_type_ids=segments, attention_mask=mask, output_hidden_states=True, return_dict=True
    )
    layers = len(output.hidden_states) - 1
    states = [output.hidden_states[round(depth * layers)].float() for depth in DEPTHS]
    return network.heads(states[-1], segments, mask), states


class StateMatching(nn.Module):
    """A linear map a depth from the student's states to the teacher's, each coordinate in its standard deviations.

    Made of a sample: `states`, float32 of shape (tokens, width) a depth, and the teacher's `wanted`, float16 of shape
    (depths, tokens, teacher's width), of the same tokens. The maps begin as ridge regressions of that sample.
    """

    def __init__(self, states: Sequence[Tensor], wanted: NDArray[np.float16]) -> None:
        super().__init__()
        targets = torch.from_numpy(wanted.astype(np.float32))
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", targets.mean(1))
        self.register_buffer("spread", targets.std(1) + 1e-3)
        self.maps = nn.ModuleList(
            _regression(own, (target - mean) / spread)
            for own, target, mean, spread in zip(states, targets, self.mean, self.spread, strict=True)
        )

    def forward(self, states: Sequence[Tensor], wanted: NDArray[np.float16]) -> tuple[Tensor, dict[str, float]]:
        """Mean squared differences, weighted over the depths, of the same shapes as at the beginning; and each depth's
        by name.
        """
        targets = torch.from_numpy(wanted.astype(np.float32)).to(self.mean.device)
        parts = []
        for depth, own in enumerate(states):
            target = (targets[depth] - self.mean[depth]) / self.spread[depth]
            parts.append((self.maps[depth](own) - target.clamp(-_FAR, _FAR)).square().mean())
        total = torch.stack([weight * part for weight, part in zip(_WEIGHTS, parts, strict=True)]).sum()
        return total, {f"states_{depth:.2f}": float(part.detach()) for depth, part in zip(DEPTHS, parts, strict=True)}


def _regression(states: Tensor, targets: Tensor) -> nn.Linear:
    inputs = torch.cat([states, torch.ones(len(states), 1)], dim=1)
    penalty = _RIDGE * len(inputs) * torch.eye(inputs.shape[1])
    weights = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
    linear = nn.Linear(states.shape[1], targets.shape[1])
    with torch.no_grad():
        linear.weight.copy_(weights[:-1].T)
        linear.bias.copy_(weights[-1])
    return linear
