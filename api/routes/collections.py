"""Collections and their index generations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.auth import Administrator, Reader
from api.bootstrap import DEFAULT_COLLECTION, Service
from api.dependencies import PROBLEM, Limit, ServiceDep
from api.json_body import StrictRoute
from api.models import (
    CollectionRequest,
    CollectionResponse,
    GenerationResponse,
    Page,
    ReceiptResponse,
    page_of,
)
from ingest.collections import Collection, CollectionSettings
from ingest.errors import InvalidInput, Unavailable
from ingest.generations import list_generations

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=StrictRoute, responses=PROBLEM)


@router.put("/{name}", responses={201: {"model": CollectionResponse, "description": "Created."}})
def put_collection(
    name: str, body: CollectionRequest, response: Response, caller: Administrator, service: ServiceDep
) -> CollectionResponse:
    """Create a collection, or change what can be changed without a new index."""
    try:
        collection, created = service.put_collection(name, CollectionSettings(**dict(body)))
    except Unavailable as failure:
        if body.embedding_model is None:
            raise
        raise InvalidInput(failure.message, code="unknown_embedding_model") from failure
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
    collection = service.collections.get(name)
    with service.catalogue.read() as connection:
        return page_of(list_generations(connection, collection.name), None, GenerationResponse.of)


def _response(service: Service, collection: Collection) -> CollectionResponse:
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    return CollectionResponse.of(collection, service.collections.size(collection), fingerprint)
