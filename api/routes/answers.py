"""Answers as they were given, with everything that they came from."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from api.auth import Caller, Reader
from api.bootstrap import Service
from api.dependencies import PROBLEM, AdmissionDep, ServiceDep
from api.json_body import StrictRoute
from api.models import ReplayRequest, ReplayResponse, TracedAnswerResponse
from generate.answers import StoredAnswer
from ingest.collections import load_collection_by_key
from ingest.errors import NotFound

router = APIRouter(prefix="/v1/answers/{answer_id}", tags=["answers"], route_class=StrictRoute, responses=PROBLEM)


@router.get("")
def get_answer(answer_id: str, caller: Reader, service: ServiceDep) -> TracedAnswerResponse:
    """An answer with its whole trace. Only the key that asked, or an administrator, may read it."""
    return TracedAnswerResponse.of_stored(answer_of(service, answer_id, caller))


@router.post("/replay")
async def replay_answer(
    answer_id: str, body: ReplayRequest, caller: Reader, service: ServiceDep, admission: AdmissionDep
) -> ReplayResponse:
    """The answer given again: from its question, from the candidates found then, or from what was generated then."""
    with admission.slot():
        stored = await asyncio.to_thread(answer_of, service, answer_id, caller)
        return ReplayResponse.of(await service.replayer.replay(stored, body.start, access=caller.access))


def answer_of(service: Service, answer_id: str, caller: Caller) -> StoredAnswer:
    """Raises `NotFound` unless this caller asked, or may see everything in the collection as an administrator."""
    stored = service.answers.get(answer_id)
    with service.catalogue.read() as connection:
        collection = load_collection_by_key(connection, stored.collection_pk)
    oversees = caller.is_admin and caller.tags is None
    if not caller.may_use(collection.name) or not (oversees or stored.key_id == caller.key_id):
        raise NotFound(f"answer {answer_id[:80]!r} does not exist", code="answer_not_found")
    return stored
