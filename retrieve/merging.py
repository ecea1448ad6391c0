"""Overlapping chunks of one document become one passage, so that no text is shown, or read, twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from retrieve.query import Hit
from retrieve.rerank import joined_reading

_MERGED_CHUNKS_MAX = 3


def merge_neighbours(hits: Sequence[Hit]) -> list[Hit]:
    """Overlapping chunks of one version become one hit at the best one's place, of up to three chunks."""
    sizes = Counter(hit.version_pk for hit in hits)
    merged: list[tuple[Hit, int]] = []
    for hit in hits:
        if sizes[hit.version_pk] == 1:
            merged.append((hit, 1))
            continue
        joined, chunks, place = hit, 1, len(merged)
        for index in reversed(range(len(merged))):
            other, size = merged[index]
            if chunks + size <= _MERGED_CHUNKS_MAX and _overlap(joined, other):
                joined, chunks, place = _joined(other, joined), chunks + size, index
                del merged[index]
        merged.insert(place, (joined, chunks))
    return [hit for hit, _ in merged]


def _overlap(one: Hit, other: Hit) -> bool:
    return one.version_pk == other.version_pk and one.char_start < other.char_end and other.char_start < one.char_end


def _joined(best: Hit, other: Hit) -> Hit:
    first, second = sorted((best, other), key=lambda hit: (hit.char_start, hit.char_end))
    if second.char_end <= first.char_end:
        text, end = first.text, first.char_end
    else:
        text, end = first.text + second.text[first.char_end - second.char_start :], second.char_end
    reading = joined_reading(first.reading, second.reading, offset=second.char_start - first.char_start)
    return replace(best, char_start=first.char_start, char_end=end, text=text, page=first.page, reading=reading)
