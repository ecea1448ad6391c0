"""Meanings compared by a model: cosines in order, each sentence embedded once, none kept after a deletion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from generate.chinese.likeness import CosineLikeness
from generate.chinese.reader import SENTENCES_MAX, read
from ingest.caches import forget_texts
from ingest.models import FloatArray, ModelRuntime, PreparedText, TextKind
from tests.fakes import HashingEncoder
from tests.generate.test_assessment import hit


class Counting(HashingEncoder):
    """Keeps the texts that it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        self.seen += [one.content for one in prepared]
        return super().forward(prepared, kind, fast=fast)


@pytest.fixture
def runtime() -> Iterator[ModelRuntime]:
    opened = ModelRuntime()
    yield opened
    opened.close()


def test_cosines_are_those_of_the_model(runtime: ModelRuntime) -> None:
    """In the order of the sentences, also where one comes twice."""
    encoder = Counting()
    likeness = CosineLikeness(runtime, encoder, timeout_s=5)
    cosines = likeness("ferry nine", ["ferry nine", "dogs", "ferry nine"])
    assert cosines.dtype == np.float32
    np.testing.assert_allclose(cosines[[0, 2]], 1, atol=1e-3)
    assert cosines[1] < 0.5


def test_a_sentence_is_embedded_once_until_words_are_forgotten(runtime: ModelRuntime) -> None:
    """As when a document is deleted."""
    encoder = Counting()
    likeness = CosineLikeness(runtime, encoder, timeout_s=5)
    likeness("ferry", ["dogs", "cats"])
    likeness("harbour", ["cats", "dogs"])
    assert sorted(encoder.seen) == ["cats", "dogs", "ferry", "harbour"]
    forget_texts()
    likeness("ferry", ["dogs"])
    assert encoder.seen.count("dogs") == 2


def test_what_is_near_in_meaning_is_read_first() -> None:
    """A sentence without a word of the question comes before those that share little with it, if it is near enough."""
    text = (
        "".join(f"第{number}条规定员工应当遵守安全制度。" for number in range(SENTENCES_MAX + 2))
        + "差旅费须在三十日内报销。"
    )

    def likeness(question: str, sentences: Sequence[str]) -> FloatArray:
        return np.array([float("差旅费" in one) for one in sentences], dtype=np.float32)

    question = "员工出差花的钱多久之内可以拿回来？"
    without, found = read(question, [hit(text)]), read(question, [hit(text)], likeness)
    assert without is not None
    assert found is not None
    assert not any("差旅费" in one.text for one in without.sentences)
    assert "差旅费" in found.sentences[0].text
    assert found.sentences[0].shared[-3:-1] == (1.0, 0.0)
