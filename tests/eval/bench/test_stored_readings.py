"""Readings are kept, and given again as they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.bench.stored_readings import ShuffledRelevance, StoredReadings
from ingest.models import Reading, SpanScore


class CountingReader:
    """Relevance is the length of the passage."""

    name, revision, languages, max_tokens = "counting", "1", None, 512

    def __init__(self) -> None:
        self.read_pairs = 0

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        self.read_pairs += len(pairs)
        return [Reading(float(len(text)), 0.5, (SpanScore(0, 1, 2.5),)) for _, text in pairs]


def test_a_pair_is_read_once(tmp_path: Path) -> None:
    """Also by another process, and in another batch."""
    reader = CountingReader()
    first = StoredReadings(reader, tmp_path / "r.sqlite").read([("q", "aa"), ("q", "b")])
    again = StoredReadings(reader, tmp_path / "r.sqlite").read([("q", "b"), ("q", "ccc")])
    assert reader.read_pairs == 3
    assert again[0] == first[1]
    assert [reading.relevance for reading in again] == [1.0, 3.0]


def test_shuffled_relevance_deals_out_the_same_values() -> None:
    """Spans stay with their passages."""
    pairs = [("q", "x" * n) for n in range(1, 9)]
    plain, dealt = CountingReader().read(pairs), ShuffledRelevance(CountingReader()).read(pairs)
    assert sorted(r.relevance for r in dealt) == [r.relevance for r in plain]
    assert [r.relevance for r in dealt] != [r.relevance for r in plain]
    assert [r.spans for r in dealt] == [r.spans for r in plain]
