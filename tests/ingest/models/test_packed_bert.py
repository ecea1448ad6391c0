"""The packed form of BERT encoders: the vectors of the model it is made of, and nothing for other models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from transformers import BertModel

from ingest.models import SentenceTransformerEncoder, encoder
from ingest.models.packed_bert import pack
from ingest.models.profiles import profile_of

TEXTS = ["When does the last ferry leave?", "", "最后一班渡轮", "word " * 1000, "naïve café 😀"]


@pytest.fixture(scope="module")
def packaged() -> SentenceTransformer:
    """The packaged model; do not change it."""
    return SentenceTransformer(profile_of("all-MiniLM-L6-v2").source, device="cpu")


@pytest.fixture(scope="module")
def saved(packaged: SentenceTransformer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models on disk by their pooling, of the packaged one's weights, with a prompt of their own."""
    folders = {pooling: tmp_path_factory.mktemp(pooling) for pooling in ("mean", "cls")}
    for pooling, folder in folders.items():
        modules = [packaged[0], Pooling(packaged.get_embedding_dimension() or 0, pooling_mode=pooling), Normalize()]
        SentenceTransformer(modules=modules, prompts={"query": "ask: "}, device="cpu").save(str(folder))
    return folders


@pytest.mark.parametrize(
    ("pooling", "dtype", "tolerance"), [("mean", "bfloat16", 1e-4), ("mean", "float32", 1e-6), ("cls", "float32", 1e-6)]
)
def test_packed_vectors_are_those_of_the_model(
    saved: dict[str, Path], pooling: str, dtype: str, tolerance: float
) -> None:
    """Alone and in a batch, padded or not, with prompts, cut at the model's limit."""
    model = SentenceTransformerEncoder(str(saved[pooling]), device="cpu", dtype=dtype)
    assert model._packed is not None
    for encode, kind in ((model._model.encode_query, "query"), (model._model.encode_document, "document")):
        expected = encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
        together = model.encode(TEXTS, kind, fast=True)  # type: ignore[arg-type]
        alone = np.concatenate([model.encode([text], kind, fast=True) for text in TEXTS])  # type: ignore[arg-type]
        alike = model.encode([TEXTS[0]] * 3, kind, fast=True)  # type: ignore[arg-type]
        for vectors in (together, alone):
            assert (np.sum(vectors * expected, axis=1) > 1 - tolerance).all()
        assert (alike @ expected[0] > 1 - tolerance).all()


def test_layers_run_as_one_call_and_step_by_step_where_torch_cannot_compile_them(
    saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the same vectors; only the one call leaves other threads alone."""
    compiled = SentenceTransformerEncoder(str(saved["mean"]), device="cpu")

    def fail(_function: object) -> None:
        raise RuntimeError("there is no compiler any more")

    monkeypatch.setattr(torch.jit, "script", fail)
    stepping = SentenceTransformerEncoder(str(saved["mean"]), device="cpu")
    for model, is_compiled in ((compiled, True), (stepping, False)):
        assert model._packed is not None
        assert isinstance(model._packed._encoder._pooled, torch.jit.ScriptFunction) is is_compiled
    np.testing.assert_allclose(
        compiled.encode(TEXTS, "query", fast=True), stepping.encode(TEXTS, "query", fast=True), atol=1e-6
    )


def test_a_packed_model_still_computes_exactly_where_it_is_told_to(saved: dict[str, Path]) -> None:
    """What is not `fast` goes through the model itself, from the same tokens."""
    model = SentenceTransformerEncoder(str(saved["mean"]), device="cpu", dtype="bfloat16")
    texts = TEXTS[:3]
    expected = model._model.encode_query(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(model.encode(texts, "query", fast=False), expected, atol=1e-5)


def test_other_models_are_not_packed(packaged: SentenceTransformer) -> None:
    """Another activation, a pooling that weighs tokens, a layer behind it, another number format."""
    transformer = packaged[0]
    width = packaged.get_embedding_dimension() or 0
    of_relu = BertModel(_config(packaged, hidden_act="relu", num_hidden_layers=1))
    others: list[list[Any]] = [
        [transformer, Pooling(width, pooling_mode="max")],
        [transformer, Pooling(width, pooling_mode="mean"), Dense(width, 8)],
        [_with(transformer, of_relu), Pooling(width)],
        [_with(transformer, BertModel(_config(packaged, num_hidden_layers=1)).to(torch.bfloat16)), Pooling(width)],
    ]
    for modules in others:
        assert pack(SentenceTransformer(modules=modules, device="cpu"), torch.float32) is None


def test_a_model_whose_packed_vectors_differ_is_served_by_itself(
    saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason may be: it is tried out before it is used."""
    monkeypatch.setattr(encoder, "_LEAST_COSINE", 1.1)
    model = SentenceTransformerEncoder(str(saved["mean"]), device="cpu")
    assert model._packed is None
    expected = model._model.encode_query(TEXTS[:1], normalize_embeddings=True, show_progress_bar=False)
    assert model.encode(TEXTS[:1], "query", fast=True)[0] @ expected[0] > 0.999


def _config(model: SentenceTransformer, **changes: object) -> Any:
    config = type(model[0].auto_model.config)(**model[0].auto_model.config.to_dict())
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def _with(transformer: Any, bert: BertModel) -> Any:
    """A copy of the module with another network."""
    other = type(transformer).__new__(type(transformer))
    other.__dict__.update(transformer.__dict__)
    other._modules = {**transformer._modules, next(iter(transformer._modules)): bert}
    return other
