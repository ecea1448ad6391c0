"""All weights of a network's layers trained, for a while: its adapters become whole differences and then narrow ones.

A low-rank product learns the answers to a few thousand questions well and the hidden states of another network badly;
the difference that a training of all weights leaves is close to one of low rank all the same (Hu et al., ICLR 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ingest.models.network import JointNetwork, LowRank


class FullRank(nn.Module):
    """A frozen linear layer plus a trained difference, float32 of the layer's own shape."""

    def __init__(self, layer: nn.Linear, difference: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.difference = nn.Parameter(difference)

    def forward(self, inputs: Tensor) -> Tensor:
        weight = (self.layer.weight + self.difference).to(inputs.dtype)
        return functional.linear(inputs, weight, self.layer.bias)


def release(network: JointNetwork) -> None:
    """Puts a `FullRank` of the same output in the place of every adapter."""
    for parent in list(network.encoder.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRank):
                with torch.no_grad():
                    difference = child.up.float() @ child.down.float()
                setattr(parent, name, FullRank(child.layer, difference))


def narrowed(state: dict[str, Tensor], rank: int) -> dict[str, Tensor]:
    """The trained state of a released network as that of one with adapters of `rank`: of all products of two matrices
    so small the nearest to each difference in least squares (Eckart and Young, 1936), shared evenly by the two.
    """
    narrow: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if not name.endswith(".difference"):
            narrow[name] = tensor
            continue
        left, sizes, right = torch.linalg.svd(tensor.detach().float(), full_matrices=False)
        kept = min(rank, len(sizes))
        roots = sizes[:kept].sqrt()
        up, down = tensor.new_zeros(tensor.shape[0], rank), tensor.new_zeros(rank, tensor.shape[1])
        up[:, :kept], down[:kept] = left[:, :kept] * roots, roots[:, None] * right[:kept]
        layer = name.removesuffix(".difference")
        narrow[f"{layer}.up"], narrow[f"{layer}.down"] = up, down
    return narrow
