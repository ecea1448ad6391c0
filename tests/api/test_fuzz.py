"""Requests generated from the API document: whatever comes, no 5xx, and every error is a problem."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from api.app import create_app
from api.bootstrap import Service, open_service
from api.routes import ROUTERS
from api.settings import Settings
from eval.evaluations import Plan
from eval.question_sets import parse_question_set
from generate.answer import Question
from ingest.documents import Upload
from ingest.jobs import TERMINAL_STATES
from retrieve import Access
from tests.api.live import SHIPS
from tests.fakes import HashingEncoder

_EXAMPLES = int(os.environ.get("CITEWELL_FUZZ_EXAMPLES", "10"))
_CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
_SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


@dataclass(frozen=True)
class Target:
    """The application with something in it, its document, and ids that exist, by path parameter."""

    document: BaseSchema
    known: dict[str, str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A service with a document, a job, an answer and a receipt; requests reach it without a server in between."""
    fresh = Settings(data_dir=Path(tmp_path_factory.mktemp("fuzz")) / "data", ragas="off")
    with open_service(fresh, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        document = schemathesis.openapi.from_asgi("/openapi.json", create_app(service))
        yield Target(document, {"name": "default", "document_id": "a/b.txt", **_fill(service)})


def _fill(service: Service) -> dict[str, str]:
    collection = service.collections.get("default")
    blob = service.blobs.put(io.BytesIO(SHIPS.encode()), max_bytes=1000)
    uploads = [Upload(name, "b.txt", "text/plain", blob) for name in ("a/b.txt", "gone.txt")]
    submission = service.documents.submit(collection, uploads, key_id=None)
    service.runner.notify()
    while service.jobs.get(submission.job_id).state not in TERMINAL_STATES:
        time.sleep(0.05)
    receipt = service.deletion.delete_documents(collection, ["gone.txt"], key_id=None)
    asked = service.answerer.ask(
        Question("When does the ferry sail?"),
        collection=collection,
        generation=collection.live_generation,
        access=Access.everything(),
        key_id=None,
    )
    questions = parse_question_set(['{"id": "q", "question": "When does the ferry sail?", "answerable": false}'])
    stored, _ = service.evaluation.question_sets.put("fuzz", questions, key_id=None)
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    plan = Plan("fuzz", stored.sha256, fingerprint, repeats=1)
    evaluation = service.evaluation.evaluations.submit(collection, plan, asks=1)
    service.runner.notify()
    return {
        "question_set": "fuzz",
        "evaluation_id": evaluation.evaluation_id,
        "job_id": submission.job_id,
        "receipt_id": receipt.receipt_id,
        "answer_id": asyncio.run(asked).answer_id,
    }


_OPERATIONS = sorted(
    (
        (method, route.path_format)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and route.path not in ("/healthz", "/readyz")  # they take nothing to vary
        for method in route.methods
    ),
    key=lambda operation: (operation[0] == "DELETE", operation),
)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), _OPERATIONS)
def test_no_request_breaks_the_service(target: Target, method: str, path: str, mode: GenerationMode) -> None:
    """For requests that conform to the document and for others: errors are problems, and none is the service's own."""

    @settings(max_examples=_EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW)
    @given(case=target.document[path][method].as_strategy(generation_mode=mode), known=st.booleans())
    def check(case: schemathesis.Case, known: bool) -> None:
        if known:
            ids = {name: value for name, value in target.known.items() if name in case.path_parameters}
            case.path_parameters.update(ids)
        response = case.call(base_url="http://localhost")
        case.validate_response(response, checks=_CHECKS)
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
            assert response.json()["detail"]

    check()
