"""Requests and responses of the evaluation routes, and how the eval layer's values become them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from eval.baselines import Baseline
from eval.comparison import Comparison
from eval.evaluations import Evaluation
from eval.question_store import StoredQuestionSet

Verdict = Literal["pass", "fail", "no_baseline", "not_comparable", "incomplete"]
EvaluationState = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class _Request(BaseModel):
    """A request body; a field that is not declared is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class QuestionSetResponse(BaseModel):
    """A question set; `version` is the hash of its content."""

    name: str
    version: str
    questions: int
    answerable: int
    must_pass: int
    tags: dict[str, int] = Field(description="How many questions carry each tag.")
    created_at: str

    @classmethod
    def of(cls, stored: StoredQuestionSet) -> QuestionSetResponse:
        questions = stored.parsed().questions
        tags: dict[str, int] = {}
        for question in questions:
            for tag in question.tags:
                tags[tag] = tags.get(tag, 0) + 1
        return cls(
            name=stored.name,
            version=stored.sha256,
            questions=len(questions),
            answerable=sum(question.answerable for question in questions),
            must_pass=sum(question.must_pass for question in questions),
            tags=tags,
            created_at=stored.created_at,
        )


class EvaluationRequest(_Request):
    """What to ask, of which collection, how often."""

    collection: Name
    question_set: Name
    repeats: int = Field(3, ge=1, le=100, description="How often each phrasing is asked; 1 says nothing of stability.")
    baseline: str | None = Field(
        None, max_length=80, description="Evaluation to compare with; by default what is blessed."
    )
    nightly: bool = Field(False, description="Counts as one night of the history.")


class EvaluationSubmission(BaseModel):
    """The run under way."""

    evaluation_id: str
    job_id: str


class MetricResponse(BaseModel):
    """A metric with its 95 % interval over clusters of questions; null where there is nothing to count."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int


class GateLineResponse(BaseModel):
    """A declared metric against the baseline. `p` is Holm's, one-sided, against harm beyond rerun noise."""

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


class DiagnosisResponse(BaseModel):
    """The stage at which the lost asks part from the baseline's, and the share of each stage."""

    stage: str | None
    shares: dict[str, float]
    looked_at: int
    items: dict[str, str]
    noise: list[str] = Field([], description="Items that were lost, and came back when they were asked ten times more.")


class SlowDriftResponse(BaseModel):
    """The stake of a bet against the baseline after each night; at 1 / level it is an alarm."""

    bound: float
    stakes: list[float]
    alarm: bool


class CertificateCheckResponse(BaseModel):
    """Fresh answers since the calibration, the wrong ones, and the stake of the bet against the promised risk."""

    certificate_id: str
    labels: int
    wrong: int
    stake: float
    refuted: bool


class EmbeddingDriftResponse(BaseModel):
    """How far the answers moved in the space of the embedder, and whether that is still the same. Explains only."""

    before: int
    after: int
    mmd2: float | None
    p: float | None
    domain_auc: float | None
    canary: float | None


class EvaluationResponse(BaseModel):
    """One evaluation."""

    evaluation_id: str
    job_id: str | None
    collection: str
    question_set: str | None
    question_set_version: str
    repeats: int
    nightly: bool
    state: EvaluationState
    verdict: Verdict | None
    reasons: list[str]
    warnings: list[str]
    blamed: str | None = Field(description="The declared metric that failed nearest to the cause.")
    metrics: dict[str, MetricResponse]
    gate: list[GateLineResponse]
    diagnosis: DiagnosisResponse | None
    slow_drift: SlowDriftResponse | None
    embedding_drift: EmbeddingDriftResponse | None
    certificate_check: CertificateCheckResponse | None
    broken: list[str] = Field(description="Stable questions that fail every time, as `id#phrasing`.")
    must_pass_failed: list[str]
    baseline: list[str] = Field(description="The evaluations it was compared with.")
    stale: list[str] = Field(description="Questions whose gold document is not in the collection; they are not asked.")
    fingerprint: str
    environment: dict[str, Any]
    created_at: str
    finished_at: str | None

    @classmethod
    def of(cls, evaluation: Evaluation) -> EvaluationResponse:
        gate = evaluation.gate
        return cls(
            evaluation_id=evaluation.evaluation_id,
            job_id=evaluation.job_id,
            collection=evaluation.collection,
            question_set=evaluation.question_set,
            question_set_version=evaluation.question_set_sha256,
            repeats=evaluation.repeats,
            nightly=evaluation.nightly,
            state=evaluation.state,  # type: ignore[arg-type] # the catalogue holds these words only
            verdict=evaluation.verdict,  # type: ignore[arg-type] # as above
            reasons=gate.get("reasons", []),
            warnings=gate.get("warnings", []),
            blamed=gate.get("blamed"),
            metrics=evaluation.metrics,  # type: ignore[arg-type] # validated here
            gate=gate.get("lines", []),
            diagnosis=gate.get("diagnosis"),
            slow_drift=gate.get("slow_drift"),
            embedding_drift=gate.get("embedding_drift"),
            certificate_check=gate.get("certificate_check"),
            broken=gate.get("broken", []),
            must_pass_failed=gate.get("must_pass_failed", []),
            baseline=gate.get("baseline", []),
            stale=list(evaluation.stale),
            fingerprint=evaluation.fingerprint,
            environment=dict(evaluation.environment),
            created_at=evaluation.created_at,
            finished_at=evaluation.finished_at,
        )


class BlessRequest(_Request):
    """What else belongs to the baseline, and why it is one."""

    together_with: list[str] = Field([], max_length=100, description="Further evaluations, of other process starts.")
    note: str | None = Field(None, max_length=2000)


class BaselineResponse(BaseModel):
    """A blessed baseline."""

    baseline_id: str
    question_set: str
    evaluations: list[str]
    note: str | None
    created_at: str

    @classmethod
    def of(cls, baseline: Baseline) -> BaselineResponse:
        return cls(
            baseline_id=baseline.baseline_id,
            question_set=baseline.question_set,
            evaluations=list(baseline.evaluation_ids),
            note=baseline.note,
            created_at=baseline.created_at,
        )


class AttributionResponse(BaseModel):
    """The change of the success index, by what it is due to (Shapley values; they sum to `change`)."""

    change: float
    correctness: float
    coverage: float
    stability: float


class ComparisonResponse(BaseModel):
    """One run against another. Nothing is asked: what no fresh asks of the later run confirm is `incomplete`."""

    verdict: Verdict
    reasons: list[str]
    gate: list[GateLineResponse]
    blamed: str | None
    diagnosis: DiagnosisResponse | None
    attribution: AttributionResponse | None
    answer_drift: float | None = Field(description="Disagreement of the answers beyond the baseline's own.")

    @classmethod
    def of(cls, found: Comparison) -> ComparisonResponse:
        attribution = found.attribution
        return cls(
            verdict=found.result.verdict,
            reasons=list(found.result.reasons),
            gate=[GateLineResponse(**asdict(line)) for line in found.result.lines],
            blamed=found.result.blamed,
            diagnosis=None if found.diagnosis is None else DiagnosisResponse(**asdict(found.diagnosis)),
            attribution=None
            if attribution is None
            else AttributionResponse(change=attribution.change, **asdict(attribution)),
            answer_drift=found.answer_drift,
        )
