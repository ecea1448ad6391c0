"""The Model Context Protocol over streamable HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.auth import Reader
from api.dependencies import PROBLEM
from api.json_body import StrictRoute
from api.mcp import McpEndpoint, McpResponse
from ingest.errors import Unavailable

router = APIRouter(tags=["mcp"], route_class=StrictRoute, responses=PROBLEM)


@router.post("/mcp", include_in_schema=False)  # its requests are those of the protocol, not of this document
async def handle_mcp(request: Request, caller: Reader) -> Response:
    """A message of the protocol; tools `search`, `ask`, `get_document`."""
    endpoint: McpEndpoint | None = getattr(request.app.state, "mcp", None)
    if endpoint is None:
        raise Unavailable("the Model Context Protocol is served by 'citewell serve' only")
    request.state.caller = caller
    return McpResponse(endpoint)
