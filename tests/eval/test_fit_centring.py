"""The mean of the packaged multilingual model's vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eval import fit_centring
from eval.passage_index import Passage
from eval.public_sets import SetPart, SetQuestion
from tests.fakes import HashingEncoder

WORDS = ("渡轮", "港口", "码头", "风速")


def test_the_means_are_those_of_questions_and_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each kind apart, the same for a seed, and not centred already."""
    passages = tuple(Passage(word, "", word * 200) for word in WORDS)
    questions = tuple(SetQuestion(w, f"{w} 几点", (w,), True, (w,), None, (0,), None) for w in WORDS)
    part = SetPart("made up", passages, questions, {})
    monkeypatch.setattr(fit_centring, "load_part", lambda folder, name: part)
    monkeypatch.setattr(fit_centring, "load_written", lambda written, data: part)
    monkeypatch.setattr(fit_centring, "E5Encoder", _Uncentred)
    means = fit_centring.fit(Path(), seed=3)
    assert means == fit_centring.fit(Path(), seed=3)
    vectors = HashingEncoder(dimensions=384).encode([one.question for one in questions], "query", fast=True)
    np.testing.assert_allclose(means["query"], vectors.mean(0), atol=1e-4)
    assert len(means["document"]) == 384
    assert means["document"] != means["query"]


class _Uncentred(HashingEncoder):
    """Must be given means of nothing."""

    dimensions = 384

    def __init__(self, *, means: Path) -> None:
        super().__init__(dimensions=384)
        assert "1" not in means.read_text()
