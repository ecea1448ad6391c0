"""What an adapter's file keeps of the trained tensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ingest.models.adapter import AdapterConfig, file_sha256, load_adapter, save_adapter

_CONFIG = AdapterConfig("tiny", "tiny", "", 8, 160, ("en",))


def _product(rank: int = 8) -> dict[str, torch.Tensor]:
    """A low-rank product whose parts differ in size a thousandfold, one of them nothing at all."""
    draw = torch.Generator().manual_seed(5)
    sizes = torch.logspace(0, -3, rank)
    sizes[-1] = 0
    up, down = torch.randn(48, rank, generator=draw) * sizes, torch.randn(rank, 32, generator=draw) * sizes[:, None]
    return {"layer.up": up, "layer.down": down, "head.weight": torch.randn(3, 5, generator=draw)}


def test_low_rank_products_take_a_byte_a_number_and_stay_what_they_were(tmp_path: Path) -> None:
    """Every part has its own scale: the smallest are kept as exactly as the greatest."""
    state = _product()
    save_adapter(tmp_path, _CONFIG, state)
    kept = load_file(tmp_path / "adapter.safetensors")
    assert (kept["layer.up"].dtype, kept["layer.down"].dtype, kept["head.weight"].dtype) == (
        torch.int8,
        torch.int8,
        torch.float16,
    )
    read = load_adapter(tmp_path).state
    assert set(read) == set(state)
    for part in range(8):
        before = state["layer.up"][:, part : part + 1] @ state["layer.down"][part : part + 1]
        after = read["layer.up"][:, part : part + 1] @ read["layer.down"][part : part + 1]
        assert (before - after).norm() <= 0.02 * before.norm()


def test_reading_and_writing_again_changes_nothing(tmp_path: Path) -> None:
    """Of an adapter that was trained on or averaged with itself."""
    save_adapter(tmp_path / "once", _CONFIG, _product())
    first = load_adapter(tmp_path / "once")
    save_adapter(tmp_path / "twice", _CONFIG, first.state)
    assert load_adapter(tmp_path / "twice").revision == first.revision


def test_products_in_float16_are_read_as_they_are(tmp_path: Path) -> None:
    """Adapters that were trained before there were eight bits."""
    state = {name: tensor.half() for name, tensor in _product().items()}
    save_adapter(tmp_path, _CONFIG, state)
    save_file(state, tmp_path / "adapter.safetensors")
    sums = (tmp_path / "SHA256SUMS").read_text().splitlines()
    digest = file_sha256(tmp_path / "adapter.safetensors")
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  adapter.safetensors\n{sums[1]}\n")
    read = load_adapter(tmp_path).state
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())
