"""Calibrating when to refuse, and the certificate that comes of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Administrator, Reader
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from api.routes.question_sets import question_set_for
from eval.calibration import labelled_pool
from generate.policy import Certificate, Certificates
from ingest.documents import new_id
from ingest.jobs import queue_job

router = APIRouter(prefix="/v1/collections/{name}", tags=["evaluation"], route_class=StrictRoute, responses=PROBLEM)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class CalibrationRequest(BaseModel):
    """Which labels to calibrate on, and what to promise."""

    model_config = ConfigDict(extra="forbid")

    question_set: Name
    risk: float = Field(0.1, ge=0.001, le=0.5, description="Greatest share of wrong answers among those given.")
    confidence: float = Field(0.9, ge=0.5, le=0.999, description="How sure the promise is to be, over calibrations.")


class CalibrationSubmission(BaseModel):
    """The calibration under way."""

    job_id: str


class CertificateResponse(BaseModel):
    """What was promised, and whether it still holds."""

    model_config = ConfigDict(from_attributes=True)

    certificate_id: str
    state: Literal["valid", "void", "cannot_certify"]
    risk: float
    confidence: float
    threshold: float | None
    answer_rate: float | None = Field(description="Share of the questions that were answered at the threshold.")
    n: int = Field(description="Answers that proved it, one a cluster of questions.")
    errors: int = Field(description="Wrong ones among them.")
    fingerprint: str
    reason: str | None
    created_at: str

    @classmethod
    def of(cls, certificate: Certificate) -> CertificateResponse:
        return cls.model_validate(certificate)


@router.post("/calibrations", status_code=202)
def post_calibration(
    name: str, body: CalibrationRequest, caller: Administrator, service: ServiceDep
) -> CalibrationSubmission:
    """Ask the labelled questions and find the threshold that keeps the promise; it serves from then on."""
    collection = service.collections.get(name)
    stored = question_set_for(service, body.question_set, caller)
    job_id = new_id("job")
    payload = {
        "question_set": stored.name,
        "question_set_sha256": stored.sha256,
        "risk": body.risk,
        "confidence": body.confidence,
    }
    total = len(labelled_pool(stored.parsed().questions))
    service.catalogue.write(
        lambda connection: queue_job(
            connection,
            job_id,
            "calibration",
            collection_pk=collection.pk,
            key_id=caller.key_id,
            payload=payload,
            total=total,
        )
    )
    service.runner.notify()
    return CalibrationSubmission(job_id=job_id)


@router.get("/certificate")
def get_certificate(name: str, caller: Reader, service: ServiceDep) -> CertificateResponse:
    """The newest certificate, as it stands for the present pipeline and documents."""
    collection = service.collections.get(name)
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    return CertificateResponse.of(Certificates(service.catalogue).latest(collection.pk, fingerprint=fingerprint))
