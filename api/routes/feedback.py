"""Feedback on answers."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import Reader
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from api.models import FeedbackRequest, FeedbackResponse
from api.routes.answers import answer_of
from generate.feedback import record_feedback

router = APIRouter(prefix="/v1/answers/{answer_id}", tags=["answers"], route_class=StrictRoute, responses=PROBLEM)


@router.post("/feedback", status_code=201)
def post_feedback(answer_id: str, body: FeedbackRequest, caller: Reader, service: ServiceDep) -> FeedbackResponse:
    """Judge an answer; right and wrong answers count for the credibility of what they cite."""
    record_feedback(
        service.catalogue,
        answer_of(service, answer_id, caller),
        body.verdict,
        expected=body.expected,
        comment=body.comment,
        key_id=caller.key_id,
    )
    return FeedbackResponse(answer_id=answer_id, verdict=body.verdict)
