"""A packed E5 file with one layer of width 32, as `ingest.models.e5_weights` describes it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁", "▁query:", "▁passage:", "A", "港", "口", "港口", "1", "▁ferry")
_FOLDING = {0xFF21: "A", 0x00AD: "", 0x2460: "1 "}
_WIDTH, _INNER, _POSITIONS = 32, 64, 16
_MATRICES = {"q": (32, 32), "k": (32, 32), "v": (32, 32), "ao": (32, 32), "fi": (64, 32), "fo": (32, 64)}


def packed_rows(table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 of shape (rows, width / 32, 18)."""
    blocks = table.reshape(len(table), -1, 32)
    scales = np.maximum(np.abs(blocks).max(-1, keepdims=True) / 7, 1e-4).astype("<f2")
    numbers = (np.clip(np.rint(blocks / scales.astype(np.float32)), -8, 7) + 8).astype(np.uint8)
    packed = numbers[..., :16] | (numbers[..., 16:] << 4)
    return np.concatenate([np.ascontiguousarray(scales).view(np.uint8).reshape(*scales.shape[:2], 2), packed], axis=-1)


def write_tiny_e5(path: Path, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Writes the file; returns the tensors before they were packed."""
    draw = np.random.default_rng(seed)
    tensors = _tensors(draw)
    head = b"E5S1" + struct.pack("<I7ifi", 1, _WIDTH, 1, 2, _INNER, len(PIECES), _POSITIONS, 2, 1e-12, 32)
    head += _vocabulary()
    contents = {
        name: packed_rows(tensor).tobytes() if tensor.ndim == 2 and _is_matrix(name) else tensor.astype("<f4").tobytes()
        for name, tensor in tensors.items()
    }
    size = len(head) + 4 + sum(2 + len(name) + 21 for name in contents)
    entries = struct.pack("<i", len(contents))
    for name, content in contents.items():
        count = tensors[name].size
        entries += struct.pack("<H", len(name)) + name.encode()
        entries += struct.pack("<BIQQ", int(_is_matrix(name)), count, size, len(content))
        size += len(content)
    path.write_bytes(head + entries + b"".join(contents.values()))
    return tensors


def _tensors(draw: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    def made(*shape: int) -> NDArray[np.float32]:
        return draw.normal(scale=0.2, size=shape).astype(np.float32)

    tensors = {
        "emb.word": made(len(PIECES), _WIDTH),
        "emb.pos": made(_POSITIONS, _WIDTH),
        "emb.type": made(2, _WIDTH),
        "emb.ln.w": 1 + made(_WIDTH),
        "emb.ln.b": made(_WIDTH),
    }
    for name, shape in _MATRICES.items():
        tensors[f"l0.{name}.w"], tensors[f"l0.{name}.b"] = made(*shape), made(shape[0])
    for name in ("aln", "oln"):
        tensors[f"l0.{name}.w"], tensors[f"l0.{name}.b"] = 1 + made(_WIDTH), made(_WIDTH)
    return tensors


def _is_matrix(name: str) -> bool:
    return name == "emb.word" or (name.endswith(".w") and "ln" not in name)


def _vocabulary() -> bytes:
    pieces = [piece.encode() for piece in PIECES]
    bounds = np.cumsum([0, *map(len, pieces)]).astype("<u4").tobytes()
    scores = np.array([0.0] * 4 + [-2.0 - len(piece) / 10 for piece in PIECES[4:]], dtype="<f4").tobytes()
    text = b"".join(pieces)
    rules = b"".join(
        struct.pack("<IB", character, len(folded)) + np.array([ord(c) for c in folded], "<u4").tobytes()
        for character, folded in sorted(_FOLDING.items())
    )
    return (
        struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(text))
        + bounds
        + scores
        + text
        + struct.pack("<iI", len(_FOLDING), len(rules))
        + rules
    )
