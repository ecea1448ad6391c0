"""Bulk corpora: `.jsonl` and `.jsonl.gz` files in which each line is a document of its own.

A line is `{"id" | "_id", "title"?, "text", "meta" | "metadata"?}`; its text is the extracted text, to the character.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import CORPUS_JSONL, CORPUS_JSONL_GZIP
from ingest.strict_json import parse_json

CORPUS_MEDIA_TYPES = frozenset({CORPUS_JSONL, CORPUS_JSONL_GZIP})
CORPUS_LINE_MEDIA_TYPE = "application/x-corpus-line+json"
_LINE_BYTES_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class CorpusLine:
    """One document of a corpus."""

    document_id: str
    title: str | None
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """The line as UTF-8 JSON with fixed key order and names: what is hashed, and returned as the original."""
        body = {"id": self.document_id, "title": self.title, "text": self.text, "metadata": self.metadata}
        return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no document: its number (from 1) and what is wrong with it."""

    number: int
    problem: str


def read_corpus(
    path: Path, media_type: str, *, decompressed_bytes_max: int
) -> Iterator[tuple[int, CorpusLine | BadLine]]:
    """The lines of a corpus with their numbers (from 1), blank ones left out; streams, whatever the size.

    Raises `ExtractionFailed` when the file as a whole cannot be read: gone, damaged gzip, or larger than allowed once
    unfolded.
    """
    try:
        with path.open("rb") as raw:
            if media_type == CORPUS_JSONL_GZIP:
                with gzip.open(raw) as unfolded:
                    yield from _lines(unfolded, decompressed_bytes_max)
            else:
                yield from _lines(raw, decompressed_bytes_max)
    except FileNotFoundError as gone:
        raise ExtractionFailed("the corpus is no longer stored; upload it again", code="original_gone") from gone
    except (gzip.BadGzipFile, zlib.error, EOFError) as failure:
        raise ExtractionFailed(
            f"the gzip stream is damaged ({failure}); compress the corpus again", code="broken_document"
        ) from failure


def _lines(stream: BinaryIO | gzip.GzipFile, bytes_max: int) -> Iterator[tuple[int, CorpusLine | BadLine]]:
    total = number = 0
    while line := stream.readline(_LINE_BYTES_MAX + 1):
        number += 1
        total += len(line)
        if total > bytes_max or len(line) > _LINE_BYTES_MAX:
            raise ExtractionFailed(
                f"line {number} goes over the limit"
                f" ({bytes_max:,} bytes in all, {_LINE_BYTES_MAX:,} a line); split the corpus",
                code="too_large",
            )
        if line.strip():
            yield number, parse_line(number, line)


def parse_line(number: int, line: bytes) -> CorpusLine | BadLine:
    """The document on a line, or what is wrong with it."""
    try:
        body = parse_json(line)
    except ValueError as failure:
        return BadLine(number, f"is not JSON ({failure})")
    if not isinstance(body, dict):
        return BadLine(number, "is not a JSON object")
    identifier, text = body.get("id", body.get("_id")), body.get("text")
    title, metadata = body.get("title"), body.get("metadata", body.get("meta")) or {}
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier:
        return BadLine(number, 'has no "id" (or "_id"), a string of 1 to 400 characters')
    if not isinstance(text, str) or not text.strip():
        return BadLine(number, f'(id {identifier[:80]!r}) has no "text"')
    if title is not None and not isinstance(title, str):
        return BadLine(number, f'(id {identifier[:80]!r}) has a "title" that is not a string')
    if not isinstance(metadata, dict):
        return BadLine(number, f'(id {identifier[:80]!r}) has "metadata" that is not an object')
    return CorpusLine(identifier, title or None, text, metadata)
