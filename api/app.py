"""The HTTP application around an open service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from api.bootstrap import Service
from api.dependencies import Admission
from api.keys import Keys
from api.mcp import McpEndpoint
from api.metrics import Metrics
from api.middleware import BodyLimit, RequestBoundary
from api.problems import Problem, on_citewell_error, on_http_exception, on_invalid_request
from api.routes import ROUTERS
from api.routes.search import rendered
from api.searching import SearchQueue
from ingest.errors import CitewellError

WEB = Path(__file__).resolve().parent / "web"
_DESCRIPTION = "Questions over your own documents: answered with evidence that anyone can check, or refused."


def create_app(service: Service) -> FastAPI:
    """The application; `service` is opened and closed by the caller, and outlives it."""
    app = FastAPI(
        title="citewell",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.state.keys = Keys(service.catalogue)
    app.state.metrics = Metrics()
    app.state.admission = Admission(service.settings.concurrent_requests_max)
    app.state.upload_admission = Admission(service.settings.concurrent_uploads_max, "uploads")
    app.add_exception_handler(CitewellError, on_citewell_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(BodyLimit, body_max_bytes=service.settings.request_body_max_bytes)
    app.add_middleware(RequestBoundary, metrics=app.state.metrics)
    for router in ROUTERS:
        app.include_router(router)
    _serve_web_page(app, WEB)
    _document_problems(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Give `asyncio.to_thread` a thread for each search and question that is admitted, and some for uploads."""
    service: Service = app.state.service
    threads = service.settings.concurrent_requests_max + service.settings.concurrent_uploads_max
    with ThreadPoolExecutor(threads, thread_name_prefix="request") as executor:
        asyncio.get_running_loop().set_default_executor(executor)
        endpoint = McpEndpoint(service, app.state.admission)
        async with aclosing(SearchQueue(service.searcher, rendered)) as queue, endpoint.running():
            app.state.search_queue, app.state.mcp = queue, endpoint
            yield
        if service.language_model is not None:
            await service.language_model.aclose()


def _serve_web_page(app: FastAPI, folder: Path) -> None:
    if not (folder / "index.html").is_file():
        return
    app.mount("/web", StaticFiles(directory=folder), name="web")

    @app.get("/", include_in_schema=False)
    async def get_web_page() -> FileResponse:
        return FileResponse(folder / "index.html")


def _document_problems(app: FastAPI) -> None:
    """Let the OpenAPI document hold the schema that the routes' error responses refer to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document["components"]["schemas"]
        schemas.update(schema.pop("$defs"))
        schemas[Problem.__name__] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign] # the documented way to extend the document
