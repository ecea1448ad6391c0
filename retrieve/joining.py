"""Several searches for one question made one ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from retrieve.collapse import collapse_duplicates
from retrieve.merging import merge_neighbours
from retrieve.query import Hit, Ranking


def joined(rankings: Sequence[Ranking], *, top_k: int, collapse: bool) -> Ranking:
    """The best hit of each search in turn, then the second ones, and so on, at most `top_k`; the first search first.

    A passage that several searches found stands once, at its best place. Scores remain those of the search that is
    told: those of different queries cannot be compared. Of a document that was replaced between two searches only the
    newer version stays; `snapshot_seq` is the oldest. Times of a stage are those of the slowest search.
    """
    if len(rankings) == 1:
        return rankings[0]
    rows = zip_longest(*(ranking.hits for ranking in rankings))
    hits = _distinct([hit for row in rows for hit in row if hit is not None])
    if collapse:
        hits = collapse_duplicates(hits)
    shown = merge_neighbours(hits)[:top_k]
    timings: dict[str, float] = {}
    for ranking in rankings:
        for stage, spent in ranking.timings_ms.items():
            timings[stage] = max(spent, timings.get(stage, 0.0))
    return replace(
        rankings[0],
        hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(shown, start=1)),
        snapshot_seq=min(ranking.snapshot_seq for ranking in rankings),
        vector_used=any(ranking.vector_used for ranking in rankings),
        timings_ms=timings,
    )


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Hits in their order, each passage once, none of a version that another hit shows to be replaced."""
    newest: dict[int, int] = {}
    for hit in hits:
        newest[hit.document_pk] = max(hit.version, newest.get(hit.document_pk, hit.version))
    kept: dict[tuple[int, int, int], Hit] = {}
    for hit in hits:
        if hit.version == newest[hit.document_pk]:
            kept.setdefault((hit.version_pk, hit.char_start, hit.char_end), hit)
    return list(kept.values())
