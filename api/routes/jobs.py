"""Jobs: how far they are, as a document or as a stream of events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api.auth import Caller, Reader, Writer
from api.bootstrap import Service
from api.dependencies import PROBLEM, Cursor, Limit, ServiceDep
from api.events import MEDIA_TYPE, Event, EventStream
from api.json_body import StrictRoute
from api.models import JobDocumentResponse, JobDocumentState, JobResponse, Page, page_of
from ingest.collections import load_collection_by_key
from ingest.errors import NotFound
from ingest.jobs import TERMINAL_STATES, Job

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], route_class=StrictRoute, responses=PROBLEM)

_POLL_S = 0.25
_KEEP_ALIVE_S = 15.0


@router.get("")
def get_job(job_id: str, caller: Reader, service: ServiceDep) -> JobResponse:
    """One job."""
    return JobResponse.of(_job(service, job_id, caller))


@router.get("/events", response_class=StreamingResponse, responses={200: {"content": {MEDIA_TYPE: {}}}})
async def get_events(job_id: str, request: Request, caller: Reader, service: ServiceDep) -> EventStream:
    """Events `progress` at every change, then `done` with the job as it ended."""
    first = await asyncio.to_thread(_job, service, job_id, caller)
    return EventStream(_events(service, first), request, AsyncExitStack())


@router.get("/documents")
def get_job_documents(
    job_id: str,
    caller: Reader,
    service: ServiceDep,
    state: JobDocumentState | None = None,
    limit: Limit = 100,
    cursor: Cursor = "0",
) -> Page[JobDocumentResponse]:
    """What became of each document of the job, in upload order."""
    job = _job(service, job_id, caller)
    parts, following = service.jobs.documents(job.job_id, state=state, limit=limit, cursor=int(cursor))
    return page_of(parts, following, JobDocumentResponse.of)


@router.post("/cancel")
def cancel_job(job_id: str, caller: Writer, service: ServiceDep) -> JobResponse:
    """Stop a job between two steps; what has been ingested stays."""
    return JobResponse.of(service.jobs.cancel(_job(service, job_id, caller).job_id))


def _job(service: Service, job_id: str, caller: Caller) -> Job:
    """The job, if it is on a collection of the caller's; a key with access tags sees its own jobs only."""
    job = service.jobs.get(job_id)
    with service.catalogue.read() as connection:
        collection = load_collection_by_key(connection, job.collection_pk)
    if not caller.may_use(collection.name) or (caller.tags is not None and job.key_id != caller.key_id):
        raise NotFound(f"job {job_id[:80]!r} does not exist", code="job_not_found")
    return job


async def _events(service: Service, job: Job) -> AsyncIterator[Event]:
    told, told_at = None, time.monotonic()
    while job.state not in TERMINAL_STATES:
        state = JobResponse.of(job)
        if state != told:
            told, told_at = state, time.monotonic()
            yield Event("progress", state)
        elif time.monotonic() - told_at > _KEEP_ALIVE_S:
            told_at = time.monotonic()
            yield Event(None, None)
        await asyncio.sleep(_POLL_S)
        job = await asyncio.to_thread(service.jobs.get, job.job_id)
    yield Event("done", JobResponse.of(job))
