"""What operators ask: is the process alive, is it ready, how busy is it."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from api.auth import Reader
from api.dependencies import PROBLEM, ServiceDep
from api.json_body import StrictRoute
from api.metrics import CONTENT_TYPE, Metrics
from ingest.errors import FieldProblem, Unavailable

router = APIRouter(tags=["operations"], route_class=StrictRoute, responses=PROBLEM)


class Pinged(Protocol):
    """A part that can say whether it works: `ping` raises `Unavailable` when it does not."""

    def ping(self) -> None: ...


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Catalogue, models and indexes answer."""

    status: Literal["ready"] = "ready"


@router.get("/healthz")
async def get_health() -> Health:
    """Whether the process is alive."""
    return Health()


@router.get("/readyz")
def get_readiness(service: ServiceDep) -> Readiness:
    """Whether catalogue, models, indexes and language model are ready; 503 names those that are not."""
    problems = []
    parts: dict[str, Pinged | None] = {
        "catalogue": service.catalogue,
        "models": service.runtime,
        "indexes": service.indexes,
        "language model": service.language_model,
    }
    for name, part in parts.items():
        try:
            if part is not None:
                part.ping()
        except Unavailable as failure:
            problems.append(FieldProblem(name, failure.message))
    if problems:
        detail = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        raise Unavailable(f"not ready: {detail}", code="not_ready", problems=tuple(problems))
    return Readiness()


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(request: Request, caller: Reader, service: ServiceDep) -> PlainTextResponse:
    """Counters of this process, for Prometheus."""
    metrics: Metrics = request.app.state.metrics
    counts = service.language_model.generator.counts if service.language_model else {}
    waiting = await asyncio.to_thread(service.credibility.waiting)
    text = metrics.render(counts, service.searcher.cache_stats(), credibility_waiting=waiting)
    return PlainTextResponse(text, media_type=CONTENT_TYPE)
