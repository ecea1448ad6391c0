"""Chunks and questions for the benchmarks of indexes."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.bench import index_data
from eval.bench.index_data import load_real, load_texts
from eval.retrieval_sets import Passage, RetrievalQuestion, RetrievalSet
from tests.fakes import HashingEncoder


def part(name: str, words: str) -> RetrievalSet:
    """A set of a passage and a question a word; the sets share their first passage."""
    passages = [Passage("shared", "Harbour", "Ferries leave the harbour at nine.")]
    passages += [Passage(word, word, f"Of {word} it is said that it floats.") for word in words.split()]
    questions = tuple(RetrievalQuestion(word, f"what of {word}", {word: 1}) for word in words.split())
    return RetrievalSet(name, tuple(passages), questions)


def test_texts_alone_are_those_with_vectors_and_need_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distinct, in one order; a benchmark of words does not wait for a model."""
    monkeypatch.setattr(index_data, "SentenceTransformerEncoder", HashingEncoder)
    monkeypatch.setattr(index_data, "report_sets", lambda _data: [part("one", "cork pumice")])
    monkeypatch.setattr(index_data, "fitting_sets", lambda _data: [part("two", "cork balsa")])
    real = load_real(tmp_path, tmp_path)
    assert len(real.texts) == len(real.vectors) == 4
    assert real.questions == ("what of cork", "what of pumice", "what of balsa")
    monkeypatch.setattr(HashingEncoder, "forward", None)
    found = load_texts(tmp_path)
    assert (found.texts, found.questions) == (real.texts, real.questions)
