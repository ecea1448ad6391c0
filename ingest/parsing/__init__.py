"""Turns files of many kinds into text with structure, each in a process of its own.

Importing this package loads no parser library.
"""

from __future__ import annotations

from ingest.parsing.document import Attachment, Heading, Page, ParsedDocument, ParseLimits, SourceFile
from ingest.parsing.media_types import CORPUS_JSONL, CORPUS_JSONL_GZIP, HEAD_BYTES, detect_media_type
from ingest.parsing.pool import ParserPool

__all__ = [
    "CORPUS_JSONL",
    "CORPUS_JSONL_GZIP",
    "HEAD_BYTES",
    "Attachment",
    "Heading",
    "Page",
    "ParseLimits",
    "ParsedDocument",
    "ParserPool",
    "SourceFile",
    "detect_media_type",
]
