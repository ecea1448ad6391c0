"""What all routes share: problems, request ids, headers, logs, metrics, health, the web page, the API document."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest

import api.app
from api.bootstrap import Service
from api.problems import STATUS_OF
from ingest.errors import CitewellError, Unavailable
from tests.api.live import problem, running


def test_every_error_class_has_a_status() -> None:
    """The table is complete; what the client raises for a problem that it was told is no error of the service."""
    own = {error for error in CitewellError.__subclasses__() if error.__module__ == "ingest.errors"}
    assert own == set(STATUS_OF)


def test_unknown_routes_and_methods_are_problems(client: httpx.Client) -> None:
    """404 and 405, the latter with Allow; contract routes that are not built yet are unknown."""
    problem(client.get("/nix"), 404, "route_not_found")
    problem(client.post("/v1/unheard-of", json={}), 404, "route_not_found")
    problem(client.get("/v1/collections/"), 404, "route_not_found")
    response = client.patch("/healthz")
    problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


def test_a_request_id_is_given_or_kept(client: httpx.Client) -> None:
    """A sane incoming id comes back; another is replaced."""
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for odd in ("a b", "x" * 200, "<script>"):
        fresh = client.get("/healthz", headers={"X-Request-Id": odd}).headers["x-request-id"]
        assert fresh != odd
        assert len(fresh) == 32


def test_every_response_has_the_security_headers(client: httpx.Client) -> None:
    """On success and on error."""
    for path in ("/healthz", "/nix", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"


def test_one_log_line_a_request(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """As JSON, with the request id."""
    with caplog.at_level(logging.INFO, logger="api.middleware"):
        client.get("/v1/jobs/nix", headers={"X-Request-Id": "abc"})
        client.get("/healthz")
    lines = [json.loads(record.message) for record in caplog.records if record.name == "api.middleware"]
    assert lines[0].pop("ms") > 0
    assert lines[0] == {
        "event": "request",
        "request_id": "abc",
        "method": "GET",
        "path": "/v1/jobs/nix",
        "status": 404,
        "key_id": None,
    }


def test_a_failure_that_nobody_foresaw_is_a_problem_too(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with the request id under which the log has the details, which the response has not."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(service.jobs), "get", broken)
    with caplog.at_level(logging.ERROR, logger="api.middleware"):
        body = problem(client.get("/v1/jobs/nix"), 500, "internal_error")
    assert "secret" not in json.dumps(body)
    assert any(body["request_id"] in record.message for record in caplog.records)


def test_health_and_readiness(client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness names the part that is not ready, and when to ask again."""
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}

    def down(_: object) -> None:
        raise Unavailable("the model worker has stopped; restart the service")

    monkeypatch.setattr(type(service.runtime), "ping", down)
    response = client.get("/readyz")
    assert problem(response, 503, "not_ready")["errors"][0]["field"] == "models"
    assert response.headers["retry-after"] == "5"
    assert client.get("/healthz").status_code == 200


def test_metrics_count_requests_by_route(client: httpx.Client) -> None:
    """Labelled with the template, not with the path."""
    client.get("/v1/jobs/nix")
    client.get("/nix")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'citewell_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1' in response.text
    assert 'citewell_requests_total{method="GET",route="unmatched",status="404"} 1' in response.text
    assert "citewell_requests_in_flight 1" in response.text
    assert "citewell_credibility_waiting 0" in response.text


def test_the_web_page_is_served_when_it_is_there(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, the rest works."""
    for folder, status in ((tmp_path / "none", 404), (tmp_path, 200)):
        (tmp_path / "index.html").write_text("<title>citewell</title>")
        (tmp_path / "app.js").write_text("1")
        monkeypatch.setattr(api.app, "WEB", folder)
        with running(service) as url:
            assert httpx.get(f"{url}/").status_code == status
            assert httpx.get(f"{url}/web/app.js").status_code == status
            assert httpx.get(f"{url}/web/nix.js").status_code == 404
            assert httpx.get(f"{url}/healthz").status_code == 200


def test_the_api_document_describes_errors(client: httpx.Client) -> None:
    """Each operation has the problem as its error response; keys are documented."""
    document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            assert content["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem", path
    assert "code" in document["components"]["schemas"]["Problem"]["required"]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
