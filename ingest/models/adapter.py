"""An adapter on disk: `adapter.safetensors` (what training changed), `adapter.json`, `SHA256SUMS`, a card.

The two matrices of each low-rank product are kept in eight bits, so that a file of a size has twice the rank: a row of
the first and the column of the second that it meets each have a scale, `NAME.scale`, float32. All else is float16.
Every file is checked against its sum before it is used; the base model is not in it, only its name and revision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import Unavailable

if TYPE_CHECKING:
    from torch import Tensor

_SCALE = ".scale"
_OVER = {".down": 1, ".up": 0}
"""The axis that shares a scale, by the end of a matrix's name."""

_WEIGHTS, _CONFIG, _SUMS = "adapter.safetensors", "adapter.json", "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """What must be known to run an adapter, and what it was measured to be good for.

    `base_sha256` is the sum of the base model's weight file; `languages` are ISO 639-1 codes it was trained on;
    `no_answer_bias` is added to the raw no-answer logit, so that 0 is even odds on the choosing part.
    """

    name: str
    base: str
    base_sha256: str
    rank: int
    max_tokens: int
    languages: tuple[str, ...]
    no_answer_bias: float = 0.0


@dataclass(frozen=True, slots=True)
class Adapter:
    """A checked adapter in memory: `state` in floating point, `revision` the first 16 hex digits of the SHA-256 of its
    weights and config.
    """

    config: AdapterConfig
    state: Mapping[str, Tensor]
    revision: str


def load_adapter(folder: Path) -> Adapter:
    """Raises `Unavailable` (`model_unavailable`, `model_damaged`) when files are missing or differ from their sums."""
    from safetensors.torch import load_file

    sums = _checked_sums(folder)
    try:
        fields: dict[str, Any] = json.loads((folder / _CONFIG).read_text())
        config = AdapterConfig(**{**fields, "languages": tuple(fields["languages"])})
        state = _widened(load_file(folder / _WEIGHTS))
    except (OSError, ValueError, TypeError, KeyError) as failure:
        raise Unavailable(f"adapter {folder} cannot be read: {failure}", code="model_damaged") from failure
    revision = hashlib.sha256((sums[_WEIGHTS] + sums[_CONFIG]).encode()).hexdigest()[:16]
    return Adapter(config, state, revision)


def save_adapter(folder: Path, config: AdapterConfig, state: Mapping[str, Tensor]) -> None:
    """Writes weights, configuration and sums; a card that lies in the folder stays."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    small: dict[str, Tensor] = {}
    for name, tensor in state.items():
        small |= _shortened(name, tensor.detach().cpu())
    save_file(small, folder / _WEIGHTS)
    (folder / _WEIGHTS).chmod(0o644)  # written for its owner only, but others may run the service
    (folder / _CONFIG).write_text(json.dumps(asdict(config), indent=1) + "\n")
    sums = [f"{file_sha256(folder / name)}  {name}\n" for name in (_WEIGHTS, _CONFIG)]
    (folder / _SUMS).write_text("".join(sums))


def _shortened(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """What is kept of a tensor, by name: itself in float16, or in whole numbers from -127 to 127 and their scales."""
    import torch

    over = next((axis for end, axis in _OVER.items() if name.endswith(end)), None)
    if over is None:
        return {name: tensor.to(torch.float16).contiguous()}
    scale = tensor.float().abs().amax(over, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / 127
    return {name: (tensor.float() / scale).round().to(torch.int8).contiguous(), name + _SCALE: scale.contiguous()}


def _widened(kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file in floating point; matrices without scales are as they were written."""
    return {
        name: tensor.float() * kept[name + _SCALE] if name + _SCALE in kept else tensor
        for name, tensor in kept.items()
        if not name.endswith(_SCALE)
    }


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / _SUMS).read_text().splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        wrong = [name for name in (_WEIGHTS, _CONFIG) if file_sha256(folder / name) != sums.get(name)]
    except (OSError, ValueError) as failure:
        raise Unavailable(
            f"adapter {folder} is not complete: {failure}; expected {_WEIGHTS}, {_CONFIG} and {_SUMS}",
            code="model_unavailable",
        ) from failure
    if wrong:
        raise Unavailable(
            f"adapter {folder} is damaged: the SHA-256 of {', '.join(wrong)} differs from {_SUMS}; install it again",
            code="model_damaged",
        )
    return sums
