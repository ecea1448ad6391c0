"""Search: a query to ranked passages."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from api.auth import Caller, Reader
from api.bootstrap import Service
from api.dependencies import PROBLEM, AdmissionDep, SearchQueueDep, ServiceDep, check_length
from api.json_body import StrictRoute
from api.models import SearchRequest, SearchResponse
from ingest.collections import Collection
from retrieve import Query, Ranking, SearchTask

router = APIRouter(prefix="/v1/collections/{name}", tags=["search"], route_class=StrictRoute, responses=PROBLEM)


@router.post("/search", response_model=SearchResponse)
async def search(
    name: str,
    body: SearchRequest,
    caller: Reader,
    service: ServiceDep,
    admission: AdmissionDep,
    queue: SearchQueueDep,
) -> Response:
    """Passages by score, best first."""
    check_length("query", body.query, service.settings.question_chars_max)
    with admission.slot():
        collection = service.collections.recall(name)
        if collection is not None and service.searcher.is_light(task := _task(collection, body, caller)):
            found = await queue.search(task)
        else:
            found = await asyncio.to_thread(_search, service, name, body, caller)
    return Response(found, media_type="application/json")


def rendered(ranking: Ranking) -> bytes:
    """The response as JSON, made by the thread that searches: the event loop, which all requests share, only sends."""
    return SearchResponse.of(ranking).model_dump_json().encode()


def _search(service: Service, name: str, body: SearchRequest, caller: Caller) -> bytes:
    task = _task(service.collections.get(name), body, caller)
    ranking = service.searcher.search(
        task.query, collection_pk=task.collection_pk, generation=task.generation, access=task.access
    )
    return rendered(ranking)


def _task(collection: Collection, body: SearchRequest, caller: Caller) -> SearchTask:
    query = Query(
        body.query,
        top_k=body.top_k,
        mode=body.mode,
        rerank=body.rerank,
        filter=body.filter,
        diversity=body.diversity,
    )
    return SearchTask(query, collection.pk, collection.live_generation, caller.access)
