"""The JSON objects of the HTTP contract. A newer server may send more fields; they are kept, not checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class Failure(TypedDict):
    code: str
    message: str


class Collection(TypedDict):
    name: str
    language: str | None
    chunk_tokens: int
    overlap_tokens: int
    embedding_model: str
    source_priors: dict[str, float]
    templates: dict[str, str]
    documents: int
    chunks: int
    bytes: int
    index_generation: str
    pipeline_fingerprint: str


class CollectionChange(TypedDict, total=False):
    """What a caller may set; what is left out keeps its value, or the service's default in a new collection."""

    language: str
    chunk_tokens: int
    overlap_tokens: int
    embedding_model: str
    source_priors: Mapping[str, float]
    templates: Mapping[str, str]


class Generation(TypedDict):
    """What an index is, or was, built from."""

    generation: str
    state: Literal["building", "rejected", "live", "retired", "abandoned", "pruned"]
    embedding_model: str
    embedding_revision: str
    dimensions: int
    chunk_tokens: int
    overlap_tokens: int
    analyser: str
    index_kind: str
    created_at: str


class Activation(Generation):
    """`job_id` names the job that completes the generation first, where that is needed."""

    job_id: str | None


class SubmittedDocument(TypedDict):
    document_id: str
    filename: str
    status: Literal["queued", "unchanged", "failed"]


class Submission(TypedDict):
    job_id: str
    documents: list[SubmittedDocument]
    documents_total: int


class DocumentCredibility(TypedDict):
    score: float
    source: float
    freshness: float | None
    corroboration: float | None
    feedback: float | None
    extraction: float | None


class Document(TypedDict):
    document_id: str
    version: int
    title: str | None
    media_type: str
    sha256: str
    bytes: int
    pages: int | None
    chunks: int
    language: str | None
    access: list[str]
    origin: str | None
    parent_document_id: str | None
    duplicate_of: str | None
    credibility: DocumentCredibility
    metadata: dict[str, Any]
    status: str
    error: Failure | None
    created_at: str
    updated_at: str


class Receipt(TypedDict):
    receipt_id: str
    state: Literal["tombstoned", "purged"]
    removed: dict[str, int]


class StageProgress(TypedDict):
    stage: str
    done: int
    total: int


class Job(TypedDict):
    job_id: str
    kind: str
    collection: str
    state: Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
    stage: str | None
    stages: list[StageProgress]
    done: int
    total: int
    failed: int
    error: Failure | None
    created_at: str
    updated_at: str


class JobDocument(TypedDict):
    document_id: str
    filename: str
    stage: str | None
    state: str
    error: Failure | None


class Scores(TypedDict):
    vector: float | None
    lexical: float | None
    fused: float
    rerank: float | None
    credibility: float


class Hit(TypedDict):
    rank: int
    chunk_id: str
    document_id: str
    version: int
    title: str | None
    page: int | None
    heading: str | None
    char_start: int
    char_end: int
    text: str
    score: float
    scores: Scores
    duplicates: list[str]


class SearchResult(TypedDict):
    hits: list[Hit]
    index_generation: str
    reranker: str | None
    timings_ms: dict[str, float]


class AnswerSpan(TypedDict):
    start: int
    end: int


class Citation(TypedDict):
    marker: str
    answer_start: int
    answer_end: int
    document_id: str
    version: int
    title: str | None
    page: int | None
    heading: str | None
    char_start: int
    char_end: int
    quote: str
    support: float
    credibility: float


class Refusal(TypedDict):
    reason: Literal["no_evidence", "low_confidence", "conflicting_evidence", "unsupported_answer"]
    message: str
    threshold: float
    nearest: list[Hit]


class Risk(TypedDict):
    bound: float
    confidence: float
    certificate_id: str


class Answer(TypedDict):
    answer_id: str
    status: Literal["answered", "partial", "refused"]
    answer: str | None
    answer_spans: list[AnswerSpan]
    confidence: float
    risk: Risk | None
    citations: list[Citation]
    evidence_rate: float | None
    conflicts: list[dict[str, Any]]
    refusal: Refusal | None
    question_used: str
    index_generation: str
    pipeline_fingerprint: str
    generator: dict[str, str | None]
    usage: dict[str, int]
    timings_ms: dict[str, float]
    created_at: str
    documents_pending: int | None


class QuestionSet(TypedDict):
    name: str
    version: str
    questions: int
    answerable: int
    must_pass: int
    tags: dict[str, int]
    created_at: str


class EvaluationSubmission(TypedDict):
    evaluation_id: str
    job_id: str


class Metric(TypedDict):
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int


class GateLine(TypedDict):
    metric: str
    baseline: float
    value: float
    delta: float
    low: float | None
    high: float | None
    z: float
    p: float
    confirmation_p: float | None
    verdict: Literal["pass", "fail", "suspected", "below_margin", "not_confirmed"]


class Evaluation(TypedDict):
    evaluation_id: str
    job_id: str | None
    collection: str
    question_set: str | None
    question_set_version: str
    repeats: int
    nightly: bool
    state: Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
    verdict: Literal["pass", "fail", "no_baseline", "not_comparable", "incomplete"] | None
    reasons: list[str]
    warnings: list[str]
    blamed: str | None
    metrics: dict[str, Metric]
    gate: list[GateLine]
    diagnosis: dict[str, Any] | None
    slow_drift: dict[str, Any] | None
    embedding_drift: dict[str, Any] | None
    certificate_check: dict[str, Any] | None
    broken: list[str]
    must_pass_failed: list[str]
    baseline: list[str]
    stale: list[str]
    fingerprint: str
    environment: dict[str, Any]
    created_at: str
    finished_at: str | None
