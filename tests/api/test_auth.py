"""Who may do what: every route asks the one dependency, and keys reach no further than they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.app import create_app
from api.auth import Authorize, is_loopback
from api.bootstrap import Service
from api.keys import Keys
from api.routes import ROUTERS
from tests.api.live import HARBOUR, SHIPS, finish, problem, upload

PUBLIC = {"/healthz", "/readyz"}
SCOPE_OF = {
    ("PUT", "/v1/collections/{name}"): "admin",
    ("GET", "/v1/collections"): "read",
    ("GET", "/v1/collections/{name}"): "read",
    ("DELETE", "/v1/collections/{name}"): "admin",
    ("GET", "/v1/collections/{name}/generations"): "read",
    ("POST", "/v1/collections/{name}/reindex"): "admin",
    ("POST", "/v1/collections/{name}/generations/{generation}/activate"): "admin",
    ("POST", "/v1/collections/{name}/documents"): "write",
    ("POST", "/v1/collections/{name}/documents:delete"): "write",
    ("POST", "/v1/collections/{name}/documents:compare"): "write",
    ("GET", "/v1/collections/{name}/documents"): "read",
    ("GET", "/v1/collections/{name}/documents/{document_id:path}/text"): "read",
    ("GET", "/v1/collections/{name}/documents/{document_id:path}/content"): "read",
    ("GET", "/v1/collections/{name}/documents/{document_id:path}"): "read",
    ("PUT", "/v1/collections/{name}/documents/{document_id:path}"): "write",
    ("DELETE", "/v1/collections/{name}/documents/{document_id:path}"): "write",
    ("GET", "/v1/receipts/{receipt_id}"): "read",
    ("GET", "/v1/jobs"): "read",
    ("GET", "/v1/jobs/{job_id}"): "read",
    ("GET", "/v1/jobs/{job_id}/events"): "read",
    ("GET", "/v1/jobs/{job_id}/documents"): "read",
    ("POST", "/v1/jobs/{job_id}/cancel"): "write",
    ("POST", "/v1/jobs/{job_id}/retry"): "write",
    ("POST", "/v1/collections/{name}/search"): "read",
    ("POST", "/v1/collections/{name}/ask"): "read",
    ("GET", "/v1/answers/{answer_id}"): "read",
    ("POST", "/v1/answers/{answer_id}/replay"): "read",
    ("POST", "/v1/answers/{answer_id}/feedback"): "read",
    ("GET", "/v1/conversations/{conversation_id}"): "read",
    ("DELETE", "/v1/conversations/{conversation_id}"): "read",
    ("GET", "/v1/models"): "read",
    ("GET", "/v1/models/{model}"): "read",
    ("POST", "/v1/chat/completions"): "read",
    ("PUT", "/v1/question_sets/{question_set}"): "write",
    ("GET", "/v1/question_sets/{question_set}"): "read",
    ("GET", "/v1/question_sets/{question_set}/content"): "read",
    ("POST", "/v1/collections/{name}/calibrations"): "admin",
    ("GET", "/v1/collections/{name}/certificate"): "read",
    ("POST", "/v1/collections/{name}/drafts"): "admin",
    ("GET", "/v1/collections/{name}/training_examples"): "admin",
    ("POST", "/v1/evaluations"): "write",
    ("GET", "/v1/evaluations"): "read",
    ("GET", "/v1/evaluations/{evaluation_id}"): "read",
    ("POST", "/v1/evaluations/{evaluation_id}/bless"): "admin",
    ("GET", "/v1/evaluations/{evaluation_id}/comparison"): "read",
    ("GET", "/v1/evaluations/{evaluation_id}/report"): "read",
    ("GET", "/v1/evaluations/{evaluation_id}/judge_scores"): "read",
    ("GET", "/v1/evaluations/{evaluation_id}/rows"): "read",
    ("POST", "/mcp"): "read",
    ("GET", "/metrics"): "read",
}


def _scopes(dependant: Dependant) -> Iterator[str]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Authorize):
            yield inner.call.scope
        yield from _scopes(inner)


def test_every_route_asks_for_its_scope() -> None:
    """No route is forgotten: the table names them all, and each has the dependency exactly once."""
    found = {}
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        scopes = list(_scopes(route.dependant))
        if route.path in PUBLIC:
            assert scopes == []
            continue
        assert len(scopes) == 1, route.path
        for method in route.methods or ():
            found[method, route.path] = scopes[0]
    assert found == SCOPE_OF


def test_nothing_else_is_served(service: Service) -> None:
    """Beside the routers there are only the API document and the web page."""
    paths = {getattr(route, "path", None) for route in create_app(service).routes} - {None}
    own = {route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    assert paths - own <= {"/openapi.json", "/", "/web"}


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def _key(service: Service, *scopes: str, **limits: Any) -> dict[str, str]:
    return _bearer(Keys(service.catalogue).create("test", scopes=scopes, **limits)[1])


@pytest.mark.parametrize(("method", "path"), list(SCOPE_OF))
def test_each_scope_opens_its_own_routes_only(client: httpx.Client, service: Service, method: str, path: str) -> None:
    """401 without a valid key, 403 with another scope, neither with the right one or as administrator."""
    keys = {scope: _key(service, scope) for scope in ("read", "write", "admin")}
    url = path.replace("{name}", "nix").replace("{document_id:path}", "a/b.txt")
    response = client.request(method, url)
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    problem(client.request(method, url, headers=_bearer("cw_wrong")), 401, "unauthorized")
    problem(client.request(method, url, headers={"Authorization": "Basic eDp5"}), 401, "unauthorized")
    for scope, headers in keys.items():
        status = client.request(method, url, headers=headers).status_code
        allowed = scope in (SCOPE_OF[method, path], "admin")
        assert (status not in (401, 403)) is allowed, (scope, status)


@pytest.mark.parametrize(("method", "path"), [entry for entry in SCOPE_OF if "{name}" in entry[1]])
def test_a_key_for_one_collection_opens_no_other(
    client: httpx.Client, service: Service, method: str, path: str
) -> None:
    """403, whether the other one exists or not."""
    headers = _key(service, "admin", collections=["mine"])
    for name in ("default", "nix"):
        url = path.replace("{name}", name).replace("{document_id:path}", "a")
        problem(client.request(method, url, headers=headers), 403, "forbidden")


@pytest.fixture
def tagged(client: httpx.Client) -> httpx.Client:
    """`ships.txt` is for everyone, `harbour.txt` for the tag hr."""
    upload(client, {"ships.txt": SHIPS})
    upload(client, {"harbour.txt": HARBOUR}, access="hr")
    return client


def test_access_tags_guard_documents(tagged: httpx.Client, service: Service) -> None:
    """A document that a key may not see does not exist for it: in lists, by id, as text, in searches and answers."""
    headers = _key(service, "read", "write", tags=["board"])
    documents = "/v1/collections/default/documents"
    items = tagged.get(documents, headers=headers).json()["items"]
    assert [item["document_id"] for item in items] == ["ships.txt"]
    for path in ("harbour.txt", "harbour.txt/text", "harbour.txt/content"):
        problem(tagged.get(f"{documents}/{path}", headers=headers), 404, "document_not_found")
    problem(tagged.delete(f"{documents}/harbour.txt", headers=headers), 404, "document_not_found")
    body = {"document_ids": ["harbour.txt"]}
    problem(tagged.post(f"{documents}:delete", json=body, headers=headers), 404, "document_not_found")
    body = {"filter": {"document_id": "harbour.txt"}}
    assert tagged.post(f"{documents}:delete", json=body, headers=headers).json()["documents"] == 0
    search = {"query": "harbour master Ingrid Solberg"}
    hits = tagged.post("/v1/collections/default/search", json=search, headers=headers).json()["hits"]
    assert "harbour.txt" not in {hit["document_id"] for hit in hits}
    own = _key(service, "read", tags=["hr"])
    hits = tagged.post("/v1/collections/default/search", json=search, headers=own).json()["hits"]
    assert hits[0]["document_id"] == "harbour.txt"


def test_a_hidden_document_is_not_overwritten(tagged: httpx.Client, service: Service) -> None:
    """Not as a file, not as a line of a corpus, and no tag is given away that the key has not."""
    headers = _key(service, "write", tags=["board"])
    documents = "/v1/collections/default/documents"
    put = tagged.put(f"{documents}/harbour.txt", content=b"mine", headers=headers)
    problem(put, 403, "forbidden")
    line = b'{"id": "harbour.txt", "text": "mine"}'
    problem(tagged.post(documents, files={"files": ("a.jsonl", line)}, headers=headers), 403, "forbidden")
    other = tagged.post(documents, files={"files": ("a.txt", b"a")}, data={"access": "hr"}, headers=headers)
    problem(other, 403, "forbidden")
    own = tagged.post(documents, files={"files": ("a.txt", b"a")}, data={"access": "board"}, headers=headers)
    assert own.status_code == 202


def test_answers_and_jobs_belong_to_who_asked(tagged: httpx.Client, service: Service) -> None:
    """Another key gets 404; an administrator of everything sees them."""
    asker, other = _key(service, "read", "write", tags=["hr"]), _key(service, "read", tags=["hr"])
    overseer, elsewhere = _key(service, "admin"), _key(service, "admin", collections=["mine"])
    body = {"question": "Who is the harbour master?"}
    answer_id = tagged.post("/v1/collections/default/ask", json=body, headers=asker).json()["answer_id"]
    files = {"files": ("b.txt", b"b")}
    job = tagged.post("/v1/collections/default/documents", files=files, headers=asker).json()["job_id"]
    for path, code in ((f"/v1/answers/{answer_id}", "answer_not_found"), (f"/v1/jobs/{job}", "job_not_found")):
        assert tagged.get(path, headers=asker).status_code == 200
        assert tagged.get(path, headers=overseer).status_code == 200
        problem(tagged.get(path, headers=other), 404, code)
        problem(tagged.get(path, headers=elsewhere), 404, code)
    listed = [
        [one["job_id"] for one in tagged.get("/v1/jobs", headers=headers).json()["items"]]
        for headers in (asker, overseer, other, elsewhere)
    ]
    assert (listed[0], job in listed[1], listed[2:]) == ([job], True, [[], []])
    problem(tagged.get("/v1/jobs", params={"collection": "default"}, headers=elsewhere), 403, "forbidden")
    receipt = tagged.delete("/v1/collections/default/documents/ships.txt", headers=overseer).json()["receipt_id"]
    problem(tagged.get(f"/v1/receipts/{receipt}", headers=elsewhere), 404, "receipt_not_found")


def test_the_list_of_collections_is_the_keys_own(client: httpx.Client, service: Service) -> None:
    """Others are not shown."""
    client.put("/v1/collections/mine", json={})
    headers = _key(service, "read", collections=["mine"])
    items = client.get("/v1/collections", headers=headers).json()["items"]
    assert [item["name"] for item in items] == ["mine"]


def test_without_keys_other_web_sites_are_turned_away(client: httpx.Client, url: str) -> None:
    """A foreign Host (DNS rebinding) always, a foreign Origin on a change; this server's own pages work."""
    path, body = "/v1/collections/default/search", {"query": "a"}
    for host in ("evil.example", "evil.example:8000", "[::1"):
        problem(client.get("/v1/collections", headers={"Host": host}), 403, "foreign_host")
    for origin in ("https://evil.example", "null", "http://localhost:1"):
        problem(client.post(path, json=body, headers={"Origin": origin}), 403, "foreign_origin")
    assert client.post(path, json=body, headers={"Origin": url}).status_code == 200
    assert client.get("/v1/collections", headers={"Host": "localhost:8000"}).status_code == 200


def test_with_a_key_the_origin_does_not_matter(client: httpx.Client, service: Service) -> None:
    """A browser does not send a key by itself."""
    headers = {**_key(service, "read"), "Host": "docs.example", "Origin": "https://docs.example"}
    assert client.get("/v1/collections", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("::", False), ("a.example", False)],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    """Names and addresses that can only mean this machine."""
    assert is_loopback(host) is loopback


def test_a_job_made_with_a_key_ends(client: httpx.Client, service: Service) -> None:
    """Its events need the key too."""
    headers = _key(service, "admin")
    files = {"files": ("a.txt", b"alpha")}
    job_id = client.post("/v1/collections/default/documents", files=files, headers=headers).json()["job_id"]
    problem(client.get(f"/v1/jobs/{job_id}/events"), 401, "unauthorized")
    client.headers.update(headers)
    assert finish(client, job_id)["state"] == "succeeded"
