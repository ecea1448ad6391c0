"""Passages made up for tests that search nothing."""

from __future__ import annotations

from ingest.credibility import Credibility
from retrieve import Hit, Scores


def hit_of(document_id: str, text: str, *, rank: int = 1, start: int = 0, title: str | None = None) -> Hit:
    """A passage of version 1 of a document."""
    return Hit(
        rank=rank,
        chunk_id=f"{document_id}:{start}",
        document_id=document_id,
        document_pk=rank,
        version=1,
        version_pk=rank,
        title=title,
        page=None,
        heading=None,
        char_start=start,
        char_end=start + len(text),
        text=text,
        score=1 / rank,
        scores=Scores(None, None, 1 / rank, None, 0.5),
        language="en",
        document_date=None,
        credibility=Credibility(),
    )
