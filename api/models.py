"""Requests and responses of the HTTP contract, and how the layers' values become them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from generate.answer import Answer, Citation, Refusal
from generate.answers import StoredAnswer
from generate.conversations import Turn
from generate.feedback import Verdict
from generate.replay import Replay, Stage
from ingest.collections import Collection, CollectionSize
from ingest.credibility import Credibility
from ingest.deletion import Receipt
from ingest.documents import DocumentRecord
from ingest.generations import Generation
from ingest.jobs import Job, JobDocument
from retrieve import Hit, Mode, Ranking

Item = TypeVar("Item")
Source = TypeVar("Source")

DocumentStatus = Literal["queued", "indexing", "ready", "failed"]
JobState = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
JobDocumentState = Literal["queued", "running", "succeeded", "unchanged", "failed", "cancelled"]
_DELETE_IDS_MAX = 10_000
_FILES_MAX = 100_000


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; write what you want to know in words")
    return text


Text = Annotated[str, AfterValidator(_not_blank)]
Filter = Annotated[
    dict[str, Any],
    Field(
        description="Conditions that must all hold: a value, or {$in, $gte, $lte, $ne}, by document_id, title, "
        "language, media_type, created_at, credibility or metadata.*",
        examples=[{"metadata.year": {"$gte": 2024}, "language": "en"}],
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]


class _Request(BaseModel):
    """A request body; a field that is not declared is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[Item]):
    """Part of a list; `next_cursor` is null on the last page."""

    items: list[Item]
    next_cursor: str | None


def page_of(rows: Sequence[Source], next_cursor: int | None, convert: Callable[[Source], Item]) -> Page[Item]:
    """A page of converted rows."""
    return Page(items=[convert(row) for row in rows], next_cursor=None if next_cursor is None else str(next_cursor))


class ErrorBody(BaseModel):
    """Why a job or a document failed."""

    code: str
    message: str

    @classmethod
    def of(cls, code: str | None, message: str | None) -> ErrorBody | None:
        return None if code is None else cls(code=code, message=message or "")


# Collections


class CollectionRequest(_Request):
    """Settings of a collection; what is left out keeps its value, or takes the service's default on creation."""

    language: str | None = Field(None, min_length=1, max_length=16, description="BCP 47 tag, for example `en`.")
    chunk_tokens: int | None = Field(None, ge=16, le=8192)
    overlap_tokens: int | None = Field(None, ge=0, le=4096)
    embedding_model: str | None = Field(None, min_length=1, max_length=500)
    source_priors: dict[str, Share] | None = Field(
        None, description="Credibility prior by pattern (shell wildcards) over document ids and `source` metadata."
    )
    templates: dict[str, str] | None = Field(None, description="Prompt templates by name.")


class ReindexRequest(CollectionRequest):
    """What the new generation is built from; what is left out stays as it is."""

    gate: str | None = Field(
        None, min_length=1, max_length=100, description="Question set that the new generation has to pass first."
    )


class CollectionResponse(BaseModel):
    """A collection: its settings, what is live in it, and what answers on it are made with."""

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
    created_at: str

    @classmethod
    def of(cls, collection: Collection, size: CollectionSize, fingerprint: str) -> CollectionResponse:
        spec = collection.live_generation.spec
        return cls(
            name=collection.name,
            language=collection.language,
            chunk_tokens=spec.chunk_tokens,
            overlap_tokens=spec.overlap_tokens,
            embedding_model=spec.embedder,
            source_priors=dict(collection.source_priors),
            templates=dict(collection.templates),
            documents=size.documents,
            chunks=size.chunks,
            bytes=size.bytes,
            index_generation=collection.live_generation.generation,
            pipeline_fingerprint=fingerprint,
            created_at=collection.created_at,
        )


class GenerationResponse(BaseModel):
    """An index generation: what an index was built from."""

    generation: str
    state: str
    embedding_model: str
    embedding_revision: str
    dimensions: int
    chunk_tokens: int
    overlap_tokens: int
    analyser: str
    index_kind: str
    created_at: str

    @classmethod
    def of(cls, generation: Generation) -> GenerationResponse:
        return cls(**generation_fields(generation))


class ActivationResponse(GenerationResponse):
    """The generation that was made live, or (`job_id` not null) that a job makes live once it holds every document."""

    job_id: str | None

    @classmethod
    def after(cls, generation: Generation, job_id: str | None) -> ActivationResponse:
        return cls(**generation_fields(generation), job_id=job_id)


class QueuedJobResponse(BaseModel):
    """Work that was queued."""

    job_id: str


def generation_fields(generation: Generation) -> dict[str, Any]:
    """What callers see of a generation."""
    spec = generation.spec
    return {
        "generation": generation.generation,
        "state": generation.state,
        "embedding_model": spec.embedder,
        "embedding_revision": spec.embedder_revision,
        "dimensions": spec.dimensions,
        "chunk_tokens": spec.chunk_tokens,
        "overlap_tokens": spec.overlap_tokens,
        "analyser": spec.analyser,
        "index_kind": spec.index_kind,
        "created_at": generation.created_at,
    }


# Documents


class CredibilityResponse(BaseModel):
    """How far a document is to be believed, and from what; null where nothing is known."""

    score: Share
    source: Share
    freshness: Share | None
    corroboration: Share | None
    feedback: Share | None
    extraction: Share | None

    @classmethod
    def of(cls, credibility: Credibility) -> CredibilityResponse:
        return cls(
            score=credibility.score,
            source=credibility.source,
            freshness=credibility.freshness,
            corroboration=credibility.corroboration,
            feedback=credibility.feedback,
            extraction=credibility.extraction,
        )


class DocumentResponse(BaseModel):
    """A document with the facts of its live version, or of its newest one before there is a live one."""

    document_id: str
    version: int
    title: str | None
    media_type: str
    filename: str
    sha256: str
    bytes: int
    pages: int | None
    chunks: int
    language: str | None
    access: list[str]
    origin: str | None = Field(description="The folder that the document is kept in step with.")
    parent_document_id: str | None
    duplicate_of: str | None
    credibility: CredibilityResponse
    metadata: dict[str, Any]
    status: DocumentStatus
    error: ErrorBody | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, record: DocumentRecord) -> DocumentResponse:
        return cls.model_validate(
            {
                **{name: getattr(record, name) for name in cls.model_fields if hasattr(record, name)},
                "access": list(record.access),
                "metadata": dict(record.metadata),
                "credibility": CredibilityResponse.of(record.credibility),
                "error": ErrorBody.of(record.error_code, record.error_message),
            }
        )


class SubmittedDocumentResponse(BaseModel):
    """What became of one uploaded file, or of one line of a corpus."""

    document_id: str
    filename: str
    status: Literal["queued", "unchanged", "failed"]


class SubmissionResponse(BaseModel):
    """An upload on its way; `documents` names the first 1,000."""

    job_id: str
    documents: list[SubmittedDocumentResponse]
    documents_total: int


class RetryRequest(_Request):
    """How to go about it this time."""

    password: str | None = Field(
        None, max_length=1_000, description="Opens encrypted files; kept in memory until they are read."
    )


class CompareRequest(_Request):
    """The files of a folder: SHA-256 (hex) by document id."""

    origin: str = Field(min_length=1, max_length=400, description="Name of the folder.")
    files: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(max_length=_FILES_MAX)


class CompareResponse(BaseModel):
    """Ids of documents by what is to be done; each stands in one list."""

    model_config = ConfigDict(from_attributes=True)

    add: list[str] = Field(description="Not there yet.")
    update: list[str] = Field(description="Other bytes, or failed for a reason that may have passed.")
    adopt: list[str] = Field(description="The same bytes, but not marked as of this folder: send them to mark them.")
    unchanged: list[str]
    failed: list[str] = Field(description="The same bytes, which cannot be read.")
    remove: list[str] = Field(description="Came from this folder and are no longer in it.")
    conflicts: list[str] = Field(description="Of another folder, or not visible to the key.")


class DeleteRequest(_Request):
    """Which documents to delete: those named, or those that match a filter."""

    document_ids: list[str] | None = Field(None, min_length=1, max_length=_DELETE_IDS_MAX)
    filter: Filter | None = Field(None, min_length=1)


class RemovedCounts(BaseModel):
    """What a purge took away; zero until it has."""

    versions: int = 0
    chunks: int = 0
    vectors: int = 0
    postings: int = 0
    cache_entries: int = 0
    blobs: int = 0
    blobs_kept: int = 0
    answers_redacted: int = 0
    conversation_turns: int = 0
    evaluation_rows: int = 0
    training_rows: int = 0


class ReceiptResponse(BaseModel):
    """Proof of a deletion: `tombstoned` at once (no search returns it any more), `purged` when everything is gone."""

    receipt_id: str
    collection: str
    state: Literal["tombstoned", "purged"]
    documents: int
    removed: RemovedCounts
    created_at: str
    purged_at: str | None

    @classmethod
    def of(cls, receipt: Receipt) -> ReceiptResponse:
        fields = {name: getattr(receipt, name) for name in cls.model_fields}
        return cls.model_validate({**fields, "removed": dict(receipt.removed)})


# Jobs


class StageResponse(BaseModel):
    """One stage of a job; a document that ended early has passed them all."""

    stage: str
    done: int
    total: int


class JobResponse(BaseModel):
    """A job; `done` of `total` documents have ended, `failed` of them without success."""

    job_id: str
    kind: str
    collection: str
    state: JobState
    stage: str | None
    stages: list[StageResponse] = Field(description="How many documents have passed each stage, in order.")
    done: int
    total: int
    failed: int
    error: ErrorBody | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, job: Job) -> JobResponse:
        fields = {name: getattr(job, name) for name in cls.model_fields if name not in ("error", "stages")}
        stages = [StageResponse(stage=stage, done=done, total=job.total) for stage, done in job.progress.items()]
        error = ErrorBody.of(job.error_code, job.error_message)
        return cls.model_validate({**fields, "stages": stages, "error": error})


class JobDocumentResponse(BaseModel):
    """One document's part in a job."""

    document_id: str
    filename: str
    stage: str | None
    state: JobDocumentState
    error: ErrorBody | None

    @classmethod
    def of(cls, part: JobDocument) -> JobDocumentResponse:
        fields = {name: getattr(part, name) for name in cls.model_fields if name != "error"}
        return cls.model_validate({**fields, "error": ErrorBody.of(part.error_code, part.error_message)})


# Search


class SearchRequest(_Request):
    """A search."""

    query: Text
    top_k: int = Field(10, ge=1, le=1000)
    mode: Mode = "hybrid"
    rerank: bool = True
    filter: Filter = {}
    diversity: float | None = Field(
        None, ge=0, le=1, description="How much a hit that is like a better one gives way; null is the service's own."
    )


class ScoresResponse(BaseModel):
    """The score after each stage that the hit passed."""

    vector: float | None
    lexical: float | None
    fused: float
    rerank: float | None
    credibility: float


class HitResponse(BaseModel):
    """A passage; `text` equals `text[char_start:char_end]` of the named version."""

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
    scores: ScoresResponse
    duplicates: list[str] = Field(description="Documents with the same passage, left out as near duplicates.")

    @classmethod
    def of(cls, hit: Hit) -> HitResponse:
        return cls.model_validate(hit, from_attributes=True)


class SearchResponse(BaseModel):
    """Hits by score, best first."""

    hits: list[HitResponse]
    index_generation: str
    reranker: str | None = Field(description="Model that reranked the hits; null while that stage is off.")
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, ranking: Ranking) -> SearchResponse:
        return cls(
            hits=[HitResponse.of(hit) for hit in ranking.hits],
            index_generation=ranking.generation,
            reranker=ranking.reranker,
            timings_ms=dict(ranking.timings_ms),
        )


# Answers


class AskRequest(_Request):
    """A question."""

    question: Text
    stream: bool = Field(False, description="Answer as server-sent events.")
    draft: bool = Field(False, description="With `stream`: also send unchecked text as it is written.")
    top_k: int | None = Field(None, ge=1, le=100)
    filter: Filter = {}
    conversation_id: str | None = Field(None, min_length=1, max_length=64)
    template: str | None = None
    max_risk: float | None = Field(None, gt=0, le=1)
    cache: bool = True


class SpanResponse(BaseModel):
    """Half-open range of code points of the answer."""

    start: int
    end: int


class CitationResponse(BaseModel):
    """Evidence; `quote` equals `text[char_start:char_end]` of the named version, byte for byte."""

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
    support: Share
    credibility: Share

    @classmethod
    def of(cls, citation: Citation) -> CitationResponse:
        fields = {name: getattr(citation, name) for name in cls.model_fields}
        return cls.model_validate({**fields, "credibility": citation.credibility.score})


class RiskResponse(BaseModel):
    """A certified bound on the share of wrong answers among those given."""

    bound: float
    confidence: float
    certificate_id: str


class ConflictResponse(BaseModel):
    """A passage that contradicts the answer; `outranked_by` is null where nothing decides between the two sides."""

    document_id: str
    version: int
    quote: str
    title: str | None
    char_start: int
    char_end: int
    document_date: str | None
    credibility: Share | None
    outranked_by: Literal["authority", "date"] | None


class RefusalResponse(BaseModel):
    """Why there is no answer, and the passages that came nearest."""

    reason: Literal["no_evidence", "low_confidence", "conflicting_evidence", "unsupported_answer"]
    message: str
    threshold: float
    nearest: list[HitResponse]

    @classmethod
    def of(cls, refusal: Refusal) -> RefusalResponse:
        return cls.model_validate(refusal, from_attributes=True)


class GeneratorResponse(BaseModel):
    """What wrote the answer."""

    name: str
    model: str | None
    prompt: str | None


class UsageResponse(BaseModel):
    """Tokens of the language model; zero for generators without one."""

    prompt_tokens: int
    completion_tokens: int


class AnswerResponse(BaseModel):
    """An answer with its evidence, or a refusal with its reason."""

    answer_id: str
    status: Literal["answered", "partial", "refused"]
    answer: str | None
    answer_spans: list[SpanResponse]
    confidence: Share
    risk: RiskResponse | None
    citations: list[CitationResponse]
    evidence_rate: Share | None
    conflicts: list[ConflictResponse]
    refusal: RefusalResponse | None
    question: str
    question_used: str
    conversation_id: str | None
    index_generation: str
    pipeline_fingerprint: str
    generator: GeneratorResponse
    usage: UsageResponse
    timings_ms: dict[str, float]
    created_at: str
    documents_pending: int | None = Field(
        None,
        description="Documents of the collection that were still being ingested when this was asked: the answer, or "
        "refusal, knows nothing of them. `null` where an answer is shown again.",
    )

    @classmethod
    def of(cls, answer: Answer, *, documents_pending: int | None = None) -> AnswerResponse:
        return cls(**_answer_fields(answer), documents_pending=documents_pending)


class TracedAnswerResponse(AnswerResponse):
    """An answer with everything that it came from."""

    trace: dict[str, Any]

    @classmethod
    def of_stored(cls, stored: StoredAnswer) -> TracedAnswerResponse:
        return cls(**_answer_fields(stored.answer), trace=dict(stored.trace))


def _answer_fields(answer: Answer) -> dict[str, Any]:
    return {
        "answer_id": answer.answer_id,
        "status": answer.status,
        "answer": answer.text,
        "answer_spans": [SpanResponse(start=span.start, end=span.end) for span in answer.spans],
        "confidence": answer.confidence,
        "risk": RiskResponse.model_validate(answer.risk, from_attributes=True) if answer.risk else None,
        "citations": [CitationResponse.of(citation) for citation in answer.citations],
        "evidence_rate": answer.evidence_rate,
        "conflicts": [ConflictResponse.model_validate(one, from_attributes=True) for one in answer.conflicts],
        "refusal": RefusalResponse.of(answer.refusal) if answer.refusal else None,
        "question": answer.question,
        "question_used": answer.question_used,
        "conversation_id": answer.conversation_id,
        "index_generation": answer.generation,
        "pipeline_fingerprint": answer.fingerprint,
        "generator": GeneratorResponse.model_validate(answer.generator, from_attributes=True),
        "usage": UsageResponse.model_validate(answer.usage, from_attributes=True),
        "timings_ms": dict(answer.timings_ms),
        "created_at": answer.created_at,
    }


class ReplayRequest(_Request):
    """From which stage to give the answer again."""

    start: Stage = Field("question", alias="from")


class DifferenceResponse(BaseModel):
    """A field that came out otherwise; not `counted`: a score within 0.02, or what explains the others."""

    field: str
    before: Any
    after: Any
    counted: bool


class ReplayResponse(BaseModel):
    """The answer as it comes out now; `same` when status, answer and citations are equal."""

    answer: AnswerResponse
    same: bool
    differences: list[DifferenceResponse]

    @classmethod
    def of(cls, replay: Replay) -> ReplayResponse:
        differences = [DifferenceResponse.model_validate(one, from_attributes=True) for one in replay.differences]
        return cls(answer=AnswerResponse.of(replay.answer), same=replay.same, differences=differences)


class TurnResponse(BaseModel):
    """A question of a conversation; null is what a deletion of its evidence took."""

    answer_id: str
    collection: str
    question: str | None
    question_used: str | None
    status: Literal["answered", "partial", "refused"]
    answer: str | None
    created_at: str


class ConversationResponse(BaseModel):
    """Turns, oldest first."""

    conversation_id: str
    turns: list[TurnResponse]

    @classmethod
    def of(cls, conversation_id: str, turns: Sequence[Turn]) -> ConversationResponse:
        shown = [TurnResponse.model_validate(turn, from_attributes=True) for turn in turns]
        return cls(conversation_id=conversation_id, turns=shown)


class FeedbackRequest(_Request):
    """A judgement of an answer."""

    verdict: Verdict
    expected: str | None = Field(None, max_length=20_000, description="What the answer should have been.")
    comment: str | None = Field(None, max_length=20_000)


class FeedbackResponse(BaseModel):
    """The judgement was stored."""

    answer_id: str
    verdict: Verdict
