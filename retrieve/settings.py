"""Settings of the retrieve layer: one frozen value, validated once, passed down. Reads no environment."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

EMBEDDED_RERANKER = "embedded"
"""Name of the packaged reading model as a reranker."""


class RetrieveSettings(BaseModel):
    """Engines of the indexes, and how their lists become one ranking."""

    model_config = ConfigDict(frozen=True)

    lexical_engine: Literal["tantivy", "rank_bm25"] = Field(
        "tantivy", description="BM25 engine; `rank_bm25` is the slow reference."
    )
    vector_engine: Literal["faiss", "faiss_flat"] = Field(
        "faiss",
        description="Vector index of new generations: exact, and approximate from 50,000 chunks; `faiss_flat`: exact.",
    )
    vector_gpu_mib: int = Field(
        2_048,
        ge=0,
        description="GPU memory that vectors of large indexes may take, where `faiss-gpu` is installed (732 MiB a"
        " million vectors of 384 dimensions); 0: no GPU.",
        json_schema_extra={"unit": "MiB"},
    )
    index_checkpoint_s: float = Field(
        30.0,
        gt=0,
        description="Longest time between two storings of changed indexes; a killed service replays so much at start.",
        json_schema_extra={"unit": "s"},
    )
    generations_kept: int = Field(
        1, ge=0, le=20, description="Replaced index generations that are kept for going back, per collection."
    )
    fusion: Literal["spread", "convex", "rrf"] = Field(
        "spread",
        description="How vector and lexical lists are joined; see docs/decisions/0022-fusion-by-spread.md.",
    )
    spelling: bool = Field(
        True,
        description="Look a word of a question that no document holds up as the word one slip of the pen away from it.",
    )
    candidates: int = Field(100, ge=1, le=10_000, description="Candidates that each index hands to fusion.")
    reranker_model: str = Field(
        EMBEDDED_RERANKER,
        description="`embedded`: the packaged reading model; a CrossEncoder by hub name or path; empty: no reranking.",
    )
    rerank_candidates: int = Field(16, ge=1, le=500, description="Fused candidates that the reranker reads at most.")
    rerank_first: int = Field(
        8, ge=1, le=500, description="Of these the embedded model reads so many first, and the others if need be."
    )
    rerank_clear_margin: float = Field(
        5.0,
        ge=0,
        description="The others are left unread where one answers and is so far above the last one read.",
        json_schema_extra={"unit": "logits"},
    )
    rerank_weight: float = Field(
        0.1, ge=0, description="Weight of a logit of the embedded model beside the fused score (which is in [0, 1])."
    )
    credibility_weight: float = Field(
        0.1,
        ge=0,
        le=1,
        description="How much credibility moves a score: credibility 0 and 1 are this far apart.",
    )
    corroboration_statements: int = Field(
        3,
        ge=0,
        le=20,
        description="Key statements of a document that are looked up in other documents; 0 leaves corroboration out.",
    )
    collapse_duplicates: bool = Field(
        True,
        description="Leave out a passage of a near duplicate that says nothing beyond a better one; it is named there.",
    )
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much a hit that is like a better one gives way (maximal marginal relevance); 0: not.",
    )
    query_cache_entries: int = Field(
        4_096, ge=0, description="Query embeddings that are remembered (1.5 kB each with 384 dimensions)."
    )
    result_cache_hits: int = Field(
        20_000, ge=0, description="Hits (about 1 kB each) of rankings that are remembered until a document changes."
    )
    chunk_cache_mib: int = Field(
        32,
        ge=0,
        description="Text of chunks that is remembered until a document changes.",
        json_schema_extra={"unit": "MiB"},
    )
    search_timeout_s: float = Field(
        30.0, gt=0, description="Longest wait for a model during a search.", json_schema_extra={"unit": "s"}
    )
