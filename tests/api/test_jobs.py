"""Jobs over HTTP."""

from __future__ import annotations

import json
import threading

import httpx
import pytest
from sqlalchemy import insert

from api.bootstrap import Service
from api.client.events import read_events
from ingest.catalogue import schema
from ingest.clock import now
from ingest.errors import ExtractionFailed
from ingest.parsing import ParsedDocument
from tests.api.live import events, finish, problem, upload


def test_a_job_tells_how_it_ended(client: httpx.Client) -> None:
    """Counts and state; its documents with their own states."""
    job_id = upload(client, {"a.txt": "alpha", "b.pdf": b"%PDF-1.7 broken"})["job_id"]
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["kind"], job["state"], job["done"], job["total"], job["failed"]) == ("ingest", "partial", 2, 2, 1)
    parts = client.get(f"/v1/jobs/{job_id}/documents").json()["items"]
    assert [(part["document_id"], part["state"]) for part in parts] == [("a.txt", "succeeded"), ("b.pdf", "failed")]
    assert parts[1]["error"]["code"] == "broken_document"
    only = client.get(f"/v1/jobs/{job_id}/documents", params={"state": "succeeded"}).json()["items"]
    assert [part["document_id"] for part in only] == ["a.txt"]


def test_events_end_with_the_job_as_it_ended(client: httpx.Client) -> None:
    """Progress first, `done` last."""
    files = [("files", ("a.txt", b"alpha"))]
    job_id = client.post("/v1/collections/default/documents", files=files).json()["job_id"]
    told = events(client.get(f"/v1/jobs/{job_id}/events").content)
    assert told[-1][0] == "done"
    assert {name for name, _ in told[:-1]} <= {"progress"}
    assert told[-1][1] == client.get(f"/v1/jobs/{job_id}").json()


def test_each_stage_tells_how_far_it_is(client: httpx.Client) -> None:
    """In the order of the pipeline; at the end every document has passed them all, whatever became of it."""
    job_id = upload(client, {"a.txt": "alpha", "b.pdf": b"%PDF-1.7 broken"})["job_id"]
    stages = client.get(f"/v1/jobs/{job_id}").json()["stages"]
    assert [(one["stage"], one["done"], one["total"]) for one in stages] == [
        (stage, 2, 2) for stage in ("parsing", "chunking", "embedding", "indexing")
    ]


def test_events_go_on_after_the_last_one_seen(client: httpx.Client) -> None:
    """Seen half-way: only what came after; seen to the end: 204, on which a browser stops asking."""
    job_id = upload(client, {"a.txt": "alpha"})["job_id"]
    body = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "before"}).content
    (last,) = read_events(body.decode().split("\n"))
    assert (last.name, last.id) == ("done", client.get(f"/v1/jobs/{job_id}").json()["updated_at"])
    assert client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(last.id)}).status_code == 204


def test_the_state_that_was_seen_is_not_told_again(service: Service, client: httpx.Client) -> None:
    """A running job whose last event the client knows: only a comment until something changes, then the change."""
    values = {"job_id": "job_1", "kind": "other", "collection_pk": 1, "state": "running", "payload": {}}
    counts = dict.fromkeys(("done", "total", "failed", "attempts", "cancel_requested"), 0)
    moments = {"created_at": now(), "updated_at": now()}
    row = insert(schema.jobs).values(**values, **counts, **moments)
    service.catalogue.write(lambda connection: connection.execute(row))
    threading.Timer(0.3, service.jobs.end, (service.jobs.get("job_1").pk, "succeeded")).start()
    told = client.get("/v1/jobs/job_1/events", headers={"Last-Event-ID": moments["updated_at"]}).content
    assert [name for name, _ in events(told)] == ["done"]


def test_failed_documents_are_retried(client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once what stood in the way is gone; the others are not ingested again, and then nothing is left to retry."""

    def refuse(task: object, password: object, given_up: object) -> ParsedDocument:
        raise ExtractionFailed("not today")

    handler = service.runner._handlers["ingest"]
    monkeypatch.setattr(handler, "_parse", refuse)
    job_id = upload(client, {"a.txt": "alpha", "b.txt": "beta"})["job_id"]
    monkeypatch.undo()
    response = client.post(f"/v1/jobs/{job_id}/retry")
    assert (response.status_code, response.json()["failed"]) == (202, 0)
    assert finish(client, job_id)["state"] == "succeeded"
    problem(client.post(f"/v1/jobs/{job_id}/retry"), 409, "nothing_to_retry")


def test_a_job_can_be_cancelled_until_it_has_ended(client: httpx.Client) -> None:
    """Afterwards it is a conflict."""
    lines = "\n".join(json.dumps({"id": str(number), "text": "alpha beta"}) for number in range(800))
    files = [("files", ("all.jsonl", lines.encode()))]
    job_id = client.post("/v1/collections/default/documents", files=files).json()["job_id"]
    assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    ended = events(client.get(f"/v1/jobs/{job_id}/events").content)[-1][1]
    assert ended["state"] == "cancelled"
    problem(client.post(f"/v1/jobs/{job_id}/cancel"), 409, "job_ended")


def test_jobs_are_listed_newest_first_in_pages(client: httpx.Client) -> None:
    """Of all collections or of one, in one or several states."""
    client.put("/v1/collections/ferries", json={})
    first, second = (upload(client, {f"{name}.txt": name})["job_id"] for name in ("a", "b"))
    bad = upload(client, {"c.pdf": b"%PDF-1.7 broken"}, collection="ferries")["job_id"]

    def listed(**query: object) -> list[str]:
        return [job["job_id"] for job in client.get("/v1/jobs", params=query).json()["items"]]

    assert listed() == [bad, second, first]
    assert listed(collection="ferries") == listed(state="failed") == [bad]
    assert listed(collection="default", state=["succeeded", "queued"]) == [second, first]
    page = client.get("/v1/jobs", params={"limit": 2}).json()
    assert [job["collection"] for job in page["items"]] == ["ferries", "default"]
    assert listed(cursor=page["next_cursor"]) == [first]
    problem(client.get("/v1/jobs", params={"state": "done"}), 422, "invalid_request")
    problem(client.get("/v1/jobs", params={"collection": "nix"}), 404, "collection_not_found")


def test_an_unknown_job_is_404(client: httpx.Client) -> None:
    """On every route."""
    for path in ("", "/events", "/documents"):
        problem(client.get(f"/v1/jobs/nix{path}"), 404, "job_not_found")
    for call in ("cancel", "retry"):
        problem(client.post(f"/v1/jobs/nix/{call}"), 404, "job_not_found")
