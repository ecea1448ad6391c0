"""What every route that answers a question does: begin the one stream of answer events, end it, drain it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

from api.auth import Caller
from api.bootstrap import Service
from generate.answer import Answer, AnswerEvent, DoneEvent, Question
from ingest.collections import Collection
from ingest.errors import FieldProblem, InvalidInput
from ingest.models import arrives_now


@asynccontextmanager
async def answering(
    service: Service, collection: Collection, question: Question, caller: Caller
) -> AsyncIterator[AsyncIterator[AnswerEvent]]:
    """The events of the answer that `caller` gets on the live generation; cancelled at the end of the block.

    Raises `InvalidInput` (`unknown_template`).
    """
    if question.template is not None and question.template not in collection.templates:
        known = ", ".join(sorted(collection.templates)) or "none"
        message = f"template {question.template[:100]!r} does not exist in this collection; there are: {known}"
        raise InvalidInput(message, code="unknown_template", problems=(FieldProblem("template", message),))
    events = service.answerer.stream(
        question,
        collection=collection,
        generation=collection.live_generation,
        access=caller.access,
        key_id=caller.key_id,
    )
    arrives_now()
    async with aclosing(cast(AsyncGenerator[AnswerEvent, None], events)):
        yield events


async def drain(events: AsyncIterator[AnswerEvent]) -> Answer:
    """The answer at the end."""
    async for event in events:
        if isinstance(event, DoneEvent):
            return event.answer
    raise AssertionError("a stream ends with its answer or an error")
