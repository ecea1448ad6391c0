"""Server-sent events (WHATWG HTML, "Server-sent events"): lines of a response to named JSON objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream; of an answer: `retrieval`, `sentence`, `dropped`, `draft`, and `done` at the end."""

    name: str
    data: dict[str, Any]
    id: str | None = None


def read_events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """Events in order, each with the last id before its end; comments and events without data are passed over."""
    name, data, identity = "message", list[str](), None
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value
        elif not line:
            if data:
                yield StreamEvent(name, json.loads("\n".join(data)), identity)
            name, data = "message", []
