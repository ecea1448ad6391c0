"""Search: a query to ranked passages."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from api.auth import Caller, Reader
from api.bootstrap import Service
from api.dependencies import PROBLEM, AdmissionDep, ServiceDep, check_length
from api.json_body import StrictRoute
from api.models import SearchRequest, SearchResponse
from retrieve import Query

router = APIRouter(prefix="/v1/collections/{name}", tags=["search"], route_class=StrictRoute, responses=PROBLEM)


@router.post("/search", response_model=SearchResponse)
async def search(
    name: str, body: SearchRequest, caller: Reader, service: ServiceDep, admission: AdmissionDep
) -> Response:
    """Passages by score, best first."""
    check_length("query", body.query, service.settings.question_chars_max)
    with admission.slot():
        found = await asyncio.to_thread(_search, service, name, body, caller)
    return Response(found, media_type="application/json")


def _search(service: Service, name: str, body: SearchRequest, caller: Caller) -> str:
    """The response as JSON, made here: the event loop, which every request shares, only sends it."""
    collection = service.collections.get(name)
    query = Query(
        body.query,
        top_k=body.top_k,
        mode=body.mode,
        rerank=body.rerank,
        filter=body.filter,
        diversity=body.diversity,
    )
    ranking = service.searcher.search(
        query, collection_pk=collection.pk, generation=collection.live_generation, access=caller.access
    )
    return SearchResponse.of(ranking).model_dump_json()
