"""Jobs over HTTP."""

from __future__ import annotations

import json

import httpx

from tests.api.live import events, problem, upload


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


def test_a_job_can_be_cancelled_until_it_has_ended(client: httpx.Client) -> None:
    """Afterwards it is a conflict."""
    lines = "\n".join(json.dumps({"id": str(number), "text": "alpha beta"}) for number in range(800))
    files = [("files", ("all.jsonl", lines.encode()))]
    job_id = client.post("/v1/collections/default/documents", files=files).json()["job_id"]
    assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    ended = events(client.get(f"/v1/jobs/{job_id}/events").content)[-1][1]
    assert ended["state"] == "cancelled"
    problem(client.post(f"/v1/jobs/{job_id}/cancel"), 409, "job_ended")


def test_an_unknown_job_is_404(client: httpx.Client) -> None:
    """On every route."""
    for path in ("", "/events", "/documents"):
        problem(client.get(f"/v1/jobs/nix{path}"), 404, "job_not_found")
    problem(client.post("/v1/jobs/nix/cancel"), 404, "job_not_found")
