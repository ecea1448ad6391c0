"""The contract of every encoder: the fake that stands for it in other tests, and the packaged model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from ingest.errors import Unavailable
from ingest.models import Encoder, SentenceTransformerEncoder, TextKind, load_embedder
from ingest.models.profiles import profile_of
from tests.fakes import HashingEncoder

TEXTS = [
    "The last ferry leaves at nine.",
    "",
    "最后一班渡轮于晚上九点离开港口。",
    "a" * 3000,
    "word " * 1000,
    "naïve café 😀",
]

PACKAGED = ("all-MiniLM-L6-v2", "multilingual-e5-small", "all-MiniLM-L6-v2+multilingual-e5-small")


@pytest.fixture(
    scope="module",
    params=["fake", *(pytest.param(name, marks=pytest.mark.real_model) for name in PACKAGED)],
)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    """The fake, and the packaged models: one, the other, and one beside the other."""
    return HashingEncoder() if request.param == "fake" else load_embedder(request.param)


@pytest.mark.parametrize("kind", ["query", "document"])
def test_vectors_are_unit_rows_of_float32(encoder: Encoder, kind: str) -> None:
    """One row a text, whatever the text."""
    vectors = encoder.encode(TEXTS, kind, fast=False)  # type: ignore[arg-type]
    assert vectors.shape == (len(TEXTS), encoder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_fast_arithmetic_keeps_unit_length_and_direction(encoder: Encoder) -> None:
    """Bulk embedding may be less exact, not different."""
    fast, exact = (encoder.encode(TEXTS, "document", fast=fast) for fast in (True, False))
    np.testing.assert_allclose(np.linalg.norm(fast, axis=1), 1, atol=1e-3)
    assert (np.sum(fast * exact, axis=1) > 0.99).all()


def test_a_text_has_one_vector(encoder: Encoder) -> None:
    """The same alone, twice, and among others (but for rounding)."""
    alone = encoder.encode(TEXTS[:1], "document", fast=False)
    np.testing.assert_array_equal(alone, encoder.encode(TEXTS[:1], "document", fast=False))
    np.testing.assert_allclose(alone[0], encoder.encode(TEXTS, "document", fast=False)[0], atol=1e-5)


@pytest.mark.real_model
@pytest.mark.parametrize("kind", ["query", "document"])
def test_vectors_are_those_of_sentence_transformers(kind: TextKind) -> None:
    """Tokenising apart from the forward changes nothing, whatever shares the batch."""
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    encode = encoder._model.encode_query if kind == "query" else encoder._model.encode_document
    expected = encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(encoder.encode(TEXTS, kind, fast=False), expected, atol=1e-5)


def test_prompts_and_models_without_tokens_are_served(tmp_path: Path) -> None:
    """A model of static embeddings takes texts whole; a prompt for passages is put before documents only."""
    packaged = SentenceTransformer(profile_of("all-MiniLM-L6-v2").source, device="cpu")
    static = StaticEmbedding(packaged.tokenizer.backend_tokenizer, embedding_dim=8)
    SentenceTransformer(modules=[static], prompts={"passage": "passage: "}, device="cpu").save(str(tmp_path))
    encoder = SentenceTransformerEncoder(str(tmp_path))
    for kind, prefix in (("document", "passage: "), ("query", "")):
        expected = encoder._model.encode([prefix + text for text in TEXTS[:3:2]], normalize_embeddings=True)
        np.testing.assert_allclose(encoder.encode(TEXTS[:3:2], kind, fast=False), expected, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.real_model
def test_the_format_of_bulk_work_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` computes in bfloat16 only where the processor has instructions for it; elsewhere it is slower."""
    rounding = []
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda supported=supported: supported)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2", device="cpu")
        fast, exact = (encoder.encode(TEXTS[:1], "document", fast=fast) for fast in (True, False))
        rounding.append(float(np.abs(fast - exact).max()))
    assert rounding[0] > 1e-4 > 1e-6 > rounding[1]


@pytest.mark.parametrize("fast", [True, False])
def test_a_question_is_embedded_in_one_thread_and_the_rest_keeps_theirs(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told while the model runs: sharing a dozen words costs more in waiting than it saves."""
    threads, seen = torch.get_num_threads(), list[int]()
    encoder = SentenceTransformerEncoder("all-MiniLM-L6-v2")
    model = encoder._packed if fast else encoder._model
    assert model is not None
    forward = model.forward

    def look(*arguments: object, **options: object) -> object:
        seen.append(torch.get_num_threads())
        return forward(*arguments, **options)

    monkeypatch.setattr(model, "forward", look)
    torch.set_num_threads(2)
    try:
        for kind in ("query", "document"):
            encoder.encode(["when does the ferry leave"], kind, fast=fast)
        assert seen == [1, 2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_like_texts_are_nearer(encoder: Encoder) -> None:
    """What embedding is for."""
    texts = [
        "When does the last ferry leave?",
        "The last ferry leaves at nine.",
        "Crew rest rules were approved in May.",
    ]
    question, answer, other = encoder.encode(texts, "document", fast=False)
    assert question @ answer > question @ other


def test_token_spans_are_never_truncated(encoder: Encoder) -> None:
    """A thousand words have a thousand tokens, and one token need not be longer than twelve letters a piece."""
    assert [len(encoder.token_spans(["word " * count])[0]) for count in (0, 1, 1000)] == [0, 1, 1000]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from("ab cdé 港口，。1.\n😀"), max_size=60), max_size=4))
def test_token_spans_cover_the_words_in_order(encoder: Encoder, texts: list[str]) -> None:
    """Spans ascend, do not overlap, lie in the text, and touch every letter and digit."""
    for text, spans in zip(texts, encoder.token_spans(texts), strict=True):
        covered = [place for span in spans for place in range(span.start, span.end)]
        assert covered == sorted(set(covered))
        assert {place for place, character in enumerate(text) if character.isalnum()} <= set(covered)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)


def test_identity_is_known(encoder: Encoder) -> None:
    """A generation records name, revision and size of its embedder."""
    assert encoder.name
    assert encoder.revision
    assert encoder.dimensions > 0


@pytest.mark.real_model
def test_the_packaged_model_is_what_its_profile_says() -> None:
    """384 dimensions, English, an identity from its weights."""
    encoder = SentenceTransformerEncoder("sentence-transformers/all-MiniLM-L6-v2")
    assert (encoder.dimensions, encoder.languages, len(encoder.revision)) == (384, ("en",), 16)


def test_a_model_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    """The error says what to give instead."""
    with pytest.raises(Unavailable, match="give a path"):
        SentenceTransformerEncoder(f"{tmp_path}/nothing")


@pytest.mark.parametrize(
    ("name", "languages", "known"),
    [
        ("all-MiniLM-L6-v2", "auto", ("en",)),
        ("all-MiniLM-L6-v2+multilingual-e5-small", "auto", None),
        ("BAAI/bge-small-zh-v1.5", "auto", ("zh", "en")),
        ("intfloat/multilingual-e5-small", "auto", None),
        ("BAAI/bge-small-zh-v1.5", "any", None),
        ("my-model", "en, de", ("en", "de")),
    ],
)
def test_languages_of_models(name: str, languages: str, known: tuple[str, ...] | None) -> None:
    """By name, unless the settings say otherwise; None is any language."""
    assert profile_of(name, languages).languages == known
