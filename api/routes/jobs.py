"""Jobs: how far they are, as a document or as a stream of events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.auth import Caller, Reader, Writer
from api.bootstrap import Service
from api.dependencies import PROBLEM, Cursor, Limit, ServiceDep
from api.events import MEDIA_TYPE, Event, EventStream
from api.json_body import StrictRoute
from api.models import JobDocumentResponse, JobDocumentState, JobResponse, JobState, Page, RetryRequest, page_of
from ingest.errors import Forbidden, NotFound
from ingest.jobs import TERMINAL_STATES, Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute, responses=PROBLEM)

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Id of the last event that was seen.")]

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}},
    204: {"description": "The end was seen already."},
}
_POLL_S = 0.25
_KEEP_ALIVE_S = 15.0


@router.get("")
def list_jobs(
    caller: Reader,
    service: ServiceDep,
    collection: Annotated[str | None, Query(max_length=100)] = None,
    state: Annotated[list[JobState] | None, Query(description="May be given several times.")] = None,
    limit: Limit = 100,
    cursor: Cursor = "0",
) -> Page[JobResponse]:
    """Jobs on collections of the caller's, newest first; a key with access tags sees its own jobs only."""
    if collection is not None:
        if not caller.may_use(collection):
            raise Forbidden(f"this key may not use collection {collection!r}; use one that may")
        service.collections.get(collection)
    jobs, following = service.jobs.page(
        collections=caller.collections if collection is None else [collection],
        key_id=None if caller.tags is None else caller.key_id,
        states=state,
        limit=limit,
        cursor=int(cursor),
    )
    return page_of(jobs, following, JobResponse.of)


@router.get("/{job_id}")
def get_job(job_id: str, caller: Reader, service: ServiceDep) -> JobResponse:
    """One job."""
    return JobResponse.of(_job(service, job_id, caller))


@router.get("/{job_id}/events", response_class=StreamingResponse, responses=_EVENTS)
async def get_events(
    job_id: str, request: Request, caller: Reader, service: ServiceDep, last_event_id: LastEventId = None
) -> Response:
    """Events `progress` at every change, then `done` with the job as it ended.

    A client that was cut off sends the id of the last event it saw, and is told what came after; when that was the
    end, the answer is 204, on which browsers stop asking.
    """
    first = await asyncio.to_thread(_job, service, job_id, caller)
    if first.state in TERMINAL_STATES and first.updated_at == last_event_id:
        return Response(status_code=204)
    return EventStream(_events(service, first, last_event_id), request, AsyncExitStack())


@router.get("/{job_id}/documents")
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


@router.post("/{job_id}/cancel")
def cancel_job(job_id: str, caller: Writer, service: ServiceDep) -> JobResponse:
    """Stop a job, also while a document is being read; what has been ingested stays."""
    return JobResponse.of(service.jobs.cancel(_job(service, job_id, caller).job_id))


@router.post("/{job_id}/retry", status_code=202)
def retry_job(job_id: str, caller: Writer, service: ServiceDep, body: RetryRequest | None = None) -> JobResponse:
    """Queue an ended job again, with its failed and cancelled documents; a password is not remembered from before."""
    password = None if body is None else body.password
    job = service.jobs.retry(_job(service, job_id, caller).job_id, password=password)
    service.runner.notify()
    return JobResponse.of(job)


def _job(service: Service, job_id: str, caller: Caller) -> Job:
    """The job, if it is on a collection of the caller's; a key with access tags sees its own jobs only."""
    job = service.jobs.get(job_id)
    if not caller.may_use(job.collection) or (caller.tags is not None and job.key_id != caller.key_id):
        raise NotFound(f"job {job_id[:80]!r} does not exist", code="job_not_found")
    return job


async def _events(service: Service, job: Job, seen: str | None) -> AsyncIterator[Event]:
    """A job's state is known by the time of its change, which is the id of the event."""
    told_at = time.monotonic()
    while job.state not in TERMINAL_STATES:
        if job.updated_at != seen:
            seen, told_at = job.updated_at, time.monotonic()
            yield Event("progress", JobResponse.of(job), seen)
        elif time.monotonic() - told_at > _KEEP_ALIVE_S:
            told_at = time.monotonic()
            yield Event(None, None)
        await asyncio.sleep(_POLL_S)
        job = await asyncio.to_thread(service.jobs.get, job.job_id)
    yield Event("done", JobResponse.of(job), job.updated_at)
