"""JSON request bodies: bounded in size, and strict (see `ingest.strict_json`) before any model sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from ingest.errors import TooLarge
from ingest.strict_json import parse_json

_JSON_BODY_MAX_BYTES = 16 << 20


class _StrictRequest(Request):
    """Reads at most 16 MiB where a body is read whole; streams (uploads) are bounded by the server's own limit."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            blocks, size = [], 0
            async for block in self.stream():
                size += len(block)
                if size > _JSON_BODY_MAX_BYTES:
                    raise TooLarge(f"a JSON body has at most {_JSON_BODY_MAX_BYTES:,} bytes; send it in parts")
                blocks.append(block)
            self._body = b"".join(blocks)
        return self._body

    async def json(self) -> Any:
        try:
            return parse_json(await self.body())
        except ValueError as failure:  # the framework reports this class, and this one only, as a bad field
            raise json.JSONDecodeError(str(failure), "", 0) from failure


class StrictRoute(APIRoute):
    """The route class of every router."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
