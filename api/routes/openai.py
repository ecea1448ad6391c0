"""The OpenAI interface: a collection is a model, a chat completion is an answer with citations, or a refusal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from secrets import token_hex

from fastapi import APIRouter, Request, Response

from api.answering import answering, drain
from api.auth import Caller, Reader
from api.bootstrap import Service
from api.dependencies import PROBLEM, AdmissionDep, ServiceDep, check_length
from api.events import MEDIA_TYPE, Event, EventStream, kept_alive, unless_client_leaves
from api.json_body import StrictRoute
from api.models import AnswerResponse
from api.openai import (
    AskOptions,
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    ChatUsage,
    ChunkChoice,
    Delta,
    Model,
    ModelList,
    error_body,
    message_of,
    seconds_of,
)
from api.problems import Problem
from generate.answer import AnswerEvent, DoneEvent, Question, SentenceEvent
from ingest.collections import Collection
from ingest.errors import Forbidden

router = APIRouter(prefix="/v1", tags=["openai"], route_class=StrictRoute, responses=PROBLEM)


@router.get("/models")
def list_models(caller: Reader, service: ServiceDep) -> ModelList:
    """The collections that this key may use."""
    return ModelList(data=[_model(one) for one in service.collections.list() if caller.may_use(one.name)])


@router.get("/models/{model}")
def get_model(model: str, caller: Reader, service: ServiceDep) -> Model:
    """One collection."""
    return _model(_collection(service, model, caller))


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={200: {"content": {MEDIA_TYPE: {}}, "description": "The completion; with `stream`, its chunks."}},
)
async def complete_chat(
    body: ChatRequest, request: Request, caller: Reader, service: ServiceDep, admission: AdmissionDep
) -> Response | ChatCompletion:
    """Answers the last message from the collection that `model` names; the questions before it lend it their words.

    With `stream`, each chunk is a sentence that was checked.
    """
    text, history = body.question_and_history()
    check_length("messages", text, service.settings.question_chars_max)
    async with AsyncExitStack() as resources:
        resources.enter_context(admission.slot())
        collection = await asyncio.to_thread(_collection, service, body.model, caller)
        question = _question(body, text, history, service)
        pending = await asyncio.to_thread(service.jobs.documents_pending, collection.pk)
        events = await resources.enter_async_context(answering(service, collection, question, caller))
        base_url = str(request.base_url)
        if not body.stream:
            answer = await unless_client_leaves(request, drain(events))
            return ChatCompletion.of(answer, collection.name, base_url, documents_pending=pending)
        chunks = _Chunks(body, collection.name, base_url, pending).of(await anext(events), events)
        alive = await resources.enter_async_context(kept_alive(chunks, every_s=service.settings.stream_heartbeat_s))
        return EventStream(alive, request, resources.pop_all(), _error_event)


class _Chunks:
    """The answer as chunks: its role, its sentences, its citations with the whole answer, its usage."""

    def __init__(self, body: ChatRequest, collection: str, base_url: str, documents_pending: int) -> None:
        self._id = f"chatcmpl-{token_hex(12)}"
        self._created = int(time.time())
        self._collection = collection
        self._base_url = base_url
        self._documents_pending = documents_pending
        self._tells_usage = bool(body.stream_options and body.stream_options.include_usage)

    async def of(self, first: AnswerEvent, others: AsyncIterator[AnswerEvent]) -> AsyncIterator[Event]:
        """`first` (the retrieval) is no part of the answer."""
        yield self._chunk(Delta(role="assistant", content=""))
        async for event in others:
            if isinstance(event, SentenceEvent):
                yield self._chunk(Delta(content=f" {event.text}" if event.start else event.text))
            elif isinstance(event, DoneEvent):
                for chunk in self._end(event):
                    yield chunk
        yield Event(None, "[DONE]")

    def _end(self, done: DoneEvent) -> list[Event]:
        message = message_of(done.answer, self._collection, self._base_url)
        chunks = []
        if message.refusal is not None:
            chunks.append(self._chunk(Delta(content=message.content, refusal=message.refusal)))
        last = ChunkChoice(delta=Delta(annotations=message.annotations), finish_reason="stop")
        whole = AnswerResponse.of(done.answer, documents_pending=self._documents_pending)
        chunks.append(self._event([last], citewell=whole))
        if self._tells_usage:
            chunks.append(self._event([], usage=ChatUsage.of(done.answer.usage)))
        return chunks

    def _chunk(self, delta: Delta) -> Event:
        return self._event([ChunkChoice(delta=delta)])

    def _event(
        self, choices: list[ChunkChoice], usage: ChatUsage | None = None, citewell: AnswerResponse | None = None
    ) -> Event:
        chunk = ChatChunk(
            id=self._id,
            created=self._created,
            model=self._collection,
            choices=choices,
            usage=usage,
            citewell=citewell,
        )
        return Event(None, chunk)


def _error_event(problem: Problem) -> Event:
    return Event(None, error_body(problem))


def _question(body: ChatRequest, text: str, history: tuple[str, ...], service: Service) -> Question:
    options = body.citewell or AskOptions.model_validate({})
    return Question(
        text,
        top_k=options.top_k or service.settings.ask_top_k,
        filter=options.filter,
        history=history,
        template=options.template,
        max_risk=options.max_risk,
        cache=options.cache,
    )


def _collection(service: Service, name: str, caller: Caller) -> Collection:
    """Raises `Forbidden` where the key may not use it, whether it exists or not; then `NotFound`."""
    if not caller.may_use(name):
        raise Forbidden(f"this key may not use collection {name[:120]!r}; use one that may")
    return service.collections.get(name)


def _model(collection: Collection) -> Model:
    return Model(id=collection.name, created=seconds_of(collection.created_at))
