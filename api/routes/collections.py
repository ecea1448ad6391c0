"""Collections and their index generations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import Administrator, Reader
from api.bootstrap import DEFAULT_COLLECTION, Service
from api.dependencies import PROBLEM, Limit, ServiceDep
from api.json_body import StrictRoute
from api.models import (
    ActivationResponse,
    CollectionRequest,
    CollectionResponse,
    GenerationResponse,
    Page,
    QueuedJobResponse,
    ReceiptResponse,
    ReindexRequest,
    page_of,
)
from ingest.collections import Collection, CollectionSettings
from ingest.errors import InvalidInput, Unavailable

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=StrictRoute, responses=PROBLEM)


@router.put("/{name}", responses={201: {"model": CollectionResponse, "description": "Created."}})
def put_collection(
    name: str, body: CollectionRequest, response: Response, caller: Administrator, service: ServiceDep
) -> CollectionResponse:
    """Create a collection, or change what can be changed without a new index."""
    with _known_model(body):
        collection, created = service.put_collection(name, CollectionSettings(**dict(body)))
    if created:
        response.status_code = 201
    return _response(service, collection)


@router.get("")
def list_collections(
    caller: Reader,
    service: ServiceDep,
    limit: Limit = 100,
    cursor: Annotated[str, Query(max_length=100, description="`next_cursor` of the page before.")] = "",
) -> Page[CollectionResponse]:
    """Collections that the key may use, by name."""
    usable = [one for one in service.collections.list() if caller.may_use(one.name) and one.name > cursor]
    items = [_response(service, collection) for collection in usable[:limit]]
    return Page(items=items, next_cursor=items[-1].name if len(usable) > limit else None)


@router.get("/{name}")
def get_collection(name: str, caller: Reader, service: ServiceDep) -> CollectionResponse:
    """One collection."""
    return _response(service, service.collections.get(name))


@router.delete("/{name}")
def delete_collection(name: str, caller: Administrator, service: ServiceDep) -> ReceiptResponse:
    """Delete a collection with all its documents; `default` is emptied, and stays."""
    collection = service.collections.get(name)
    keep = name == DEFAULT_COLLECTION
    receipt = service.deletion.delete_collection(collection, key_id=caller.key_id, keep=keep)
    service.runner.notify()
    return ReceiptResponse.of(receipt)


@router.get("/{name}/generations")
def get_generations(name: str, caller: Reader, service: ServiceDep) -> Page[GenerationResponse]:
    """Index generations of the collection, oldest first."""
    return page_of(service.generations.list(service.collections.get(name)), None, GenerationResponse.of)


@router.post("/{name}/reindex", status_code=202)
def reindex_collection(
    name: str, body: ReindexRequest, caller: Administrator, service: ServiceDep
) -> QueuedJobResponse:
    """Build the index anew with other settings, beside the live one, and swap when it is done."""
    wanted = dict(body)
    gate = wanted.pop("gate")
    collection = service.collections.get(name)
    with _known_model(body):
        job_id = service.reindex_collection(collection, CollectionSettings(**wanted), gate=gate, key_id=caller.key_id)
    return QueuedJobResponse(job_id=job_id)


@router.post(
    "/{name}/generations/{generation}/activate",
    responses={202: {"model": ActivationResponse, "description": "A job completes it first."}},
)
def activate_generation(
    name: str, generation: str, response: Response, caller: Administrator, service: ServiceDep
) -> ActivationResponse:
    """Go back (or forward) to a generation that is kept."""
    collection = service.collections.get(name)
    activated, job_id = service.generations.activate(collection, generation, key_id=caller.key_id)
    if job_id is not None:
        service.runner.notify()
        response.status_code = 202
    return ActivationResponse.after(activated, job_id)


@contextmanager
def _known_model(body: CollectionRequest) -> Iterator[None]:
    """A model that the caller names and that cannot be loaded is the caller's mistake."""
    try:
        yield
    except Unavailable as failure:
        if body.embedding_model is None:
            raise
        raise InvalidInput(failure.message, code="unknown_embedding_model") from failure


def _response(service: Service, collection: Collection) -> CollectionResponse:
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    return CollectionResponse.of(collection, service.collections.size(collection), fingerprint)
