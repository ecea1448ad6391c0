"""Ask: a question to a cited answer or a refusal, whole or as a stream of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from api.answering import answering, drain
from api.auth import Reader
from api.bootstrap import Service
from api.dependencies import PROBLEM, AdmissionDep, ServiceDep, check_length
from api.events import MEDIA_TYPE, Event, EventStream, kept_alive, unless_client_leaves
from api.json_body import StrictRoute
from api.models import AnswerResponse, AskRequest, CitationResponse, HitResponse
from generate.answer import (
    AnswerEvent,
    DoneEvent,
    DraftEvent,
    DroppedEvent,
    Question,
    RetrievalEvent,
    SentenceEvent,
)

router = APIRouter(prefix="/v1/collections/{name}", tags=["ask"], route_class=StrictRoute, responses=PROBLEM)


class RetrievalData(BaseModel):
    """Event `retrieval`: the evidence, in rank order."""

    hits: list[HitResponse]


class SentenceData(BaseModel):
    """Event `sentence`: a checked sentence, its place in the answer, and its citations."""

    start: int
    text: str
    citations: list[CitationResponse]


class DroppedData(BaseModel):
    """Event `dropped`: a sentence that its evidence does not support; no part of the answer."""

    text: str
    reason: str


class DraftData(BaseModel):
    """Event `draft`: unchecked text."""

    text: str


@router.post(
    "/ask",
    response_model=AnswerResponse,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The answer or refusal; with `stream`, its events."}},
)
async def ask(
    name: str, body: AskRequest, request: Request, caller: Reader, service: ServiceDep, admission: AdmissionDep
) -> Response | AnswerResponse:
    """An answer made of whole, cited sentences, or a refusal that says why.

    With `stream`: events `retrieval`, `sentence`, `dropped`, `draft`, then `done` (the whole answer) or `error`. What
    is wrong with the question itself is an ordinary error response.
    """
    check_length("question", body.question, service.settings.question_chars_max)
    async with AsyncExitStack() as resources:
        resources.enter_context(admission.slot())
        collection = await asyncio.to_thread(service.collections.get, name)
        question = _question(body, service)
        pending = await asyncio.to_thread(service.jobs.documents_pending, collection.pk)
        events = await resources.enter_async_context(answering(service, collection, question, caller))
        if not body.stream:
            answer = await unless_client_leaves(request, drain(events))
            return AnswerResponse.of(answer, documents_pending=pending)
        told = kept_alive(_events(await anext(events), events, pending), every_s=service.settings.stream_heartbeat_s)
        alive = await resources.enter_async_context(told)
        return EventStream(alive, request, resources.pop_all())


def _question(body: AskRequest, service: Service) -> Question:
    return Question(
        body.question,
        top_k=body.top_k or service.settings.ask_top_k,
        filter=body.filter,
        conversation_id=body.conversation_id,
        template=body.template,
        max_risk=body.max_risk,
        draft=body.draft,
        cache=body.cache,
    )


async def _events(first: AnswerEvent, others: AsyncIterator[AnswerEvent], pending: int) -> AsyncIterator[Event]:
    yield _event(first, pending)
    async for event in others:
        yield _event(event, pending)


def _event(event: AnswerEvent, pending: int) -> Event:
    match event:
        case RetrievalEvent(hits):
            return Event("retrieval", RetrievalData(hits=[HitResponse.of(hit) for hit in hits]))
        case SentenceEvent(start, text, citations):
            cited = [CitationResponse.of(citation) for citation in citations]
            return Event("sentence", SentenceData(start=start, text=text, citations=cited))
        case DroppedEvent(text, reason):
            return Event("dropped", DroppedData(text=text, reason=reason))
        case DraftEvent(text):
            return Event("draft", DraftData(text=text))
        case DoneEvent(answer):
            return Event("done", AnswerResponse.of(answer, documents_pending=pending))
