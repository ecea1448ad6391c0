"""How passages are shown: where they stand, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from api.cli.output import one_line

if TYPE_CHECKING:
    from api.client import Citation, Hit

_EXCERPT_CHARS = 300


def place(passage: Citation | Hit) -> str:
    """Title, document, version, page and offsets of a passage."""
    parts = [passage["document_id"], f"version {passage['version']}"]
    if passage["page"] is not None:
        parts.append(f"page {passage['page']}")
    parts.append(f"characters {passage['char_start']}-{passage['char_end']}")
    title = passage["title"] or passage["document_id"]
    return one_line(f"{title} ({', '.join(parts)})")


def print_hits(hits: Sequence[Hit]) -> None:
    """A passage in three lines: place, excerpt, scores."""
    for hit in hits:
        excerpt = one_line(hit["text"])
        if len(excerpt) > _EXCERPT_CHARS:
            excerpt = excerpt[:_EXCERPT_CHARS] + " …"
        typer.echo(f"{hit['rank']}. {place(hit)}\n   {excerpt}\n   score {hit['score']:.4f}: {_scores(hit['scores'])}")


def _scores(scores: Mapping[str, Any]) -> str:
    return ", ".join(f"{stage} {score:.4f}" for stage, score in scores.items() if score is not None)
