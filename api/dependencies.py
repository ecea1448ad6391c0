"""What routes are handed beside their caller: the service, the queue for searches and questions, pages of lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from api.bootstrap import Service
from api.problems import Problem
from api.searching import SearchQueue
from ingest.errors import InvalidInput, Overloaded

PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "An error, as RFC 9457 describes it.",
        "content": {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
    }
}
"""The documented error response of every route."""


class Admission:
    """What is under way of a kind (`what`, in the plural), at most `limit` at once. Used on the event loop only."""

    def __init__(self, limit: int, what: str = "searches and questions") -> None:
        self._limit = limit
        self._what = what
        self._taken = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place for as long as the block lasts. Raises `Overloaded` when all are taken: there is no queue."""
        if self._taken >= self._limit:
            raise Overloaded(f"{self._limit} {self._what} are under way; try again in a moment")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


async def _upload_admission(request: Request) -> Admission:
    admission: Admission = request.app.state.upload_admission
    return admission


async def _search_queue(request: Request) -> SearchQueue:
    queue: SearchQueue = request.app.state.search_queue
    return queue


ServiceDep = Annotated[Service, Depends(_service)]
AdmissionDep = Annotated[Admission, Depends(_admission)]
SearchQueueDep = Annotated[SearchQueue, Depends(_search_queue)]
UploadAdmissionDep = Annotated[Admission, Depends(_upload_admission)]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most items on the page.")]
Cursor = Annotated[
    str, Query(pattern=r"^[0-9]{1,18}$", description="`next_cursor` of the page before; 0 for the first page.")
]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the live version.")]


def check_length(field: str, text: str, chars_max: int) -> None:
    """Raises `InvalidInput` for a question or query over the configured length."""
    if len(text) > chars_max:
        raise InvalidInput(
            f"{field} has {len(text):,} characters, the limit is {chars_max:,}; shorten it", code="question_too_long"
        )
