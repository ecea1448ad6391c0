"""What is particular to Tantivy: its formula, its directory, its single writer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ingest.errors import Conflict
from retrieve.lexical import LexicalDocument
from retrieve.lexical.tantivy_index import TantivyIndex

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
