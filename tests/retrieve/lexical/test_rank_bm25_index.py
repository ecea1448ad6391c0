"""The reference engine returns what the package rank_bm25 computes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from retrieve.lexical import LexicalDocument
from retrieve.lexical.rank_bm25_index import RankBm25Index

words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=12), words)
def test_scores_are_those_of_the_package(texts: list[list[str]], query: list[str]) -> None:
    """Every matching chunk has the score that BM25Okapi gives it over the whole collection."""
    index = RankBm25Index()
    index.add([LexicalDocument(i, i, tuple(text)) for i, text in enumerate(texts)])
    hits = index.publish().search(query, top_k=99)
    scores = BM25Okapi(texts).get_scores(query)
    assert hits.scores == pytest.approx(scores[hits.chunks].astype(np.float32), abs=1e-4)
