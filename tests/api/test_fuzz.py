"""Requests generated from the API document: whatever comes, no 5xx, and every error is a problem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from api.app import create_app
from api.bootstrap import open_service
from api.routes import ROUTERS
from api.settings import Settings
from tests.fakes import HashingEncoder

_EXAMPLES = int(os.environ.get("CITEWELL_FUZZ_EXAMPLES", "15"))
_CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
_SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """The application, without a server in between."""
    fresh = Settings(data_dir=Path(tmp_path_factory.mktemp("fuzz")) / "data")
    with open_service(fresh, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        yield create_app(service)


@pytest.fixture(scope="module")
def document(app: FastAPI) -> BaseSchema:
    """The API document, as requests are generated from it."""
    return schemathesis.openapi.from_asgi("/openapi.json", app)


_OPERATIONS = [
    (method, route.path_format)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]


@pytest.mark.parametrize(("method", "path"), _OPERATIONS)
def test_no_request_breaks_the_service(document: BaseSchema, method: str, path: str) -> None:
    """Responses conform to the document; errors are problems with a detail."""

    @settings(max_examples=_EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW)
    @given(case=document[path][method].as_strategy())
    def check(case: schemathesis.Case) -> None:
        response = case.call(base_url="http://localhost")
        case.validate_response(response, checks=_CHECKS)
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
            assert response.json()["detail"]

    check()
