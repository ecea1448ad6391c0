"""The nouns of searching: who asks, what is asked, what is found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ingest.credibility import Credibility
from ingest.generations import Generation
from ingest.models import Reading

Mode = Literal["hybrid", "vector", "lexical"]


@dataclass(frozen=True, slots=True)
class Access:
    """What the caller may see: every document of the collection (`tags` None), or those without tags and those that
    carry one of `tags`. Built by `api` from the key; part of every cache key.
    """

    tags: frozenset[str] | None

    @classmethod
    def everything(cls) -> Access:
        """For a key without restriction, and for work of the service itself."""
        return cls(None)


@dataclass(frozen=True, slots=True)
class Query:
    """A search request; `filter` is as in the HTTP contract; `diversity` None is that of the settings."""

    text: str
    top_k: int = 10
    mode: Mode = "hybrid"
    rerank: bool = True
    filter: Mapping[str, Any] = field(default_factory=dict)
    diversity: float | None = None


@dataclass(frozen=True, slots=True)
class SearchTask:
    """A search request with what it is to search, for whom, and since when someone waits for it (`time.monotonic`)."""

    query: Query
    collection_pk: int
    generation: Generation
    access: Access
    since: float = field(default_factory=time.monotonic, compare=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """A hit's score after each stage it passed, in the stage's own unit; None where it did not pass.

    `vector` is a cosine, `lexical` a BM25 score, `fused` as the fusion defines, `rerank` the reranker's own,
    `credibility` the document's credibility in [0, 1].
    """

    vector: float | None
    lexical: float | None
    fused: float
    rerank: float | None
    credibility: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found: one chunk, or neighbouring chunks of one document merged; `rank` counts from 1.

    `text` equals `text[char_start:char_end]` of the named version. `chunk_id` names the best of the merged chunks.
    `original_pk` is the key of the document that this one nearly repeats, else its own; `duplicates` are the ids of
    near duplicates with the same passage, which were left out.
    `reading` is what the reading model said of it for the query, with spans in code points of `text`; None if unread.
    """

    rank: int
    chunk_id: str
    document_id: str
    document_pk: int
    version: int
    version_pk: int
    title: str | None
    page: int | None
    heading: str | None
    char_start: int
    char_end: int
    text: str
    score: float
    scores: Scores
    language: str | None
    document_date: str | None
    credibility: Credibility
    reading: Reading | None = None
    original_pk: int = 0
    duplicates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits by score, best first, and how they came about; `timings_ms` maps stage names to milliseconds."""

    hits: tuple[Hit, ...]
    generation: str
    snapshot_seq: int
    reranker: str | None
    vector_used: bool
    timings_ms: Mapping[str, float]
