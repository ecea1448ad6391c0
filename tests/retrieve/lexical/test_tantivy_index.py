"""What is particular to Tantivy: its formula, its directory, its single writer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import Conflict
from retrieve.lexical import LexicalDocument, tantivy_index
from retrieve.lexical.tantivy_index import TantivyIndex
from retrieve.restriction import Restriction

DOCUMENTS = [
    LexicalDocument(1, 10, ("cat", "cat", "dog")),
    LexicalDocument(2, 20, ("dog",)),
    LexicalDocument(3, 30, ("bird", "fish")),
]


def test_score_by_hand() -> None:
    """N = 3, n = 1, f = 2, dl = 3, avgdl = 2, k1 = 1.2, b = 0.75 in the formula of the module."""
    index = TantivyIndex()
    index.add(DOCUMENTS)
    hits = index.publish().search(["cat"], top_k=1)
    idf = math.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 * (1.2 + 1) / (2 + 1.2 * (1 - 0.75 + 0.75 * 3 / 2))
    assert hits.scores.tolist() == pytest.approx([expected], abs=1e-4)
    index.close()


words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


def bm25(texts: list[list[str]], query: list[str], row: int) -> float:
    """The formula of the module, written again; lengths up to 40 terms are exact."""
    score = 0.0
    for term in query:
        n = sum(term in text for text in texts)
        frequency = texts[row].count(term)
        average = sum(map(len, texts)) / len(texts)
        idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
        norm = 1.2 * (1 - 0.75 + 0.75 * len(texts[row]) / average)
        score += idf * frequency * (1.2 + 1) / (frequency + norm)
    return score


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=12), words)
def test_scores_follow_the_formula(texts: list[list[str]], query: list[str]) -> None:
    """Every score of every matching chunk, for queries with repeated and unknown terms."""
    index = TantivyIndex()
    index.add([LexicalDocument(row, row, tuple(text)) for row, text in enumerate(texts)])
    hits = index.publish().search(query, top_k=99)
    index.close()
    expected = [bm25(texts, query, row) for row in hits.chunks.tolist()]
    assert hits.scores.tolist() == pytest.approx(expected, abs=2e-4)


def test_lengths_are_exact_up_to_forty_terms_and_rounded_down_beyond() -> None:
    """Chunks of 40 and 41 terms differ in score by length, those of 41 and 42 do not: both count as 40."""
    index = TantivyIndex()
    lengths = (39, 40, 41, 42)
    index.add([LexicalDocument(n, n, ("cat", *["x"] * (n - 1))) for n in lengths])
    hits = index.publish().search(["cat"], top_k=4)
    score = dict(zip(hits.chunks.tolist(), hits.scores.tolist(), strict=True))
    assert score[39] > score[40] == score[41]
    index.close()


def test_a_directory_survives_a_restart_up_to_the_last_publish(tmp_path: Path) -> None:
    """What was added after it is lost, for the change log to bring again."""
    index = TantivyIndex(tmp_path / "lexical")
    index.add(DOCUMENTS[:2])
    index.publish()
    index.add(DOCUMENTS[2:])
    index.close()
    again = TantivyIndex(tmp_path / "lexical")
    snapshot = again.publish()
    assert snapshot.search(["cat", "bird"], top_k=9).chunks.tolist() == [1]
    again.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """Two writers would lose each other's chunks; the first closed, the next may begin."""
    index = TantivyIndex(tmp_path)
    with pytest.raises(Conflict, match="another writer"):
        TantivyIndex(tmp_path)
    index.close()
    TantivyIndex(tmp_path).close()


def test_large_sets_of_versions_find_what_small_ones_find() -> None:
    """Whether many hits are looked through or the versions are queried: the same chunks, scores and order."""
    random = np.random.default_rng(3)
    index = TantivyIndex()
    rows = 6_000
    words = [[f"w{n}" for n in random.zipf(1.3, 12) % 400] for _ in range(rows)]
    index.add([LexicalDocument(row, row, tuple(words[row])) for row in range(rows)])
    snapshot = index.publish()
    everything = snapshot.search(["w1", "w2", "w9"], top_k=rows)
    for share in (0.9, 0.5, 0.2, 0.1):
        allowed = np.flatnonzero(random.random(rows) < share)
        excluded = np.setdiff1d(np.arange(rows), allowed)
        expected = [chunk for chunk in everything.chunks.tolist() if chunk in set(allowed.tolist())]
        for restriction in (Restriction.of(allowed), Restriction.of(excluded=excluded)):
            for top_k in (1, 10, 100):
                found = snapshot.search(["w1", "w2", "w9"], top_k=top_k, restriction=restriction)
                assert found.chunks.tolist() == expected[:top_k]


def test_a_large_set_that_goes_against_the_query_is_obeyed() -> None:
    """The thousands of best hits are all forbidden; the few allowed ones are found all the same."""
    index = TantivyIndex()
    index.add([LexicalDocument(row, row, ("cat",)) for row in range(9_000)])
    index.add([LexicalDocument(row, row, ("cat", "dog")) for row in range(9_000, 10_500)])
    snapshot = index.publish()
    found = snapshot.search(["cat"], top_k=3, restriction=Restriction.of(range(9_000, 10_500)))
    assert found.chunks.tolist() == [9_000, 9_001, 9_002]


def test_a_large_index_leaves_common_words_out_where_the_others_find_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else, and in a small one, every word counts; a question of common words only is asked as it is."""
    index = TantivyIndex()
    index.add([LexicalDocument(row, row, ("the", "cat", f"n{row % 3}")) for row in range(6)])
    index.add([LexicalDocument(row, row, ("dog",)) for row in range(6, 8)])
    snapshot = index.publish()
    asked, telling = ["the", "the", "dog", "n0"], ["dog", "n0"]
    exact = snapshot.search(asked, top_k=3)
    monkeypatch.setattr(tantivy_index, "_LARGE_INDEX", 8)
    assert snapshot.search(asked, top_k=3).scores.tolist() == snapshot.search(telling, top_k=3).scores.tolist()
    assert snapshot.search(asked, top_k=3).scores.tolist() != exact.scores.tolist()
    assert set(snapshot.search(asked, top_k=9).chunks.tolist()) == set(range(8))
    assert len(snapshot.search(["the", "cat"], top_k=9)) == 6
    seen = snapshot.search(["the", "n0"], top_k=2, restriction=Restriction.of([1, 3]))
    assert seen.chunks.tolist() == [3, 1]
    monkeypatch.setattr(tantivy_index, "_LARGE_INDEX", 9)
    assert snapshot.search(asked, top_k=3).scores.tolist() == exact.scores.tolist()
    index.close()
