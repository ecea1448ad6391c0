"""A real server on a free port in a thread of this process, and the few calls that most tests make."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from api.bootstrap import Service
from api.server import bind, server_on

SHIPS = "The ferry Aurora sails from Norrhamn at 07:30 on weekdays. The crossing takes 45 minutes."
HARBOUR = "The harbour master is Ingrid Solberg. She has held the office since 2019."


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Serve while the block lasts; gives the base URL."""
    with bind("127.0.0.1", 0) as listener:
        server, url = server_on(service, listener)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield url
        finally:
            server.should_exit = True
            thread.join()


def upload(client: httpx.Client, files: dict[str, str | bytes], collection: str = "default", **fields: Any) -> Any:
    """Send the files and wait until their job has ended; gives the body of the 202."""
    parts = [("files", (name, content)) for name, content in files.items()]
    response = client.post(f"/v1/collections/{collection}/documents", files=parts, data=fields)
    assert response.status_code == 202, response.text
    finish(client, response.json()["job_id"])
    return response.json()


def finish(client: httpx.Client, job_id: str) -> Any:
    """The job's last event."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        return events(response.read())[-1][1]


def events(body: bytes) -> list[tuple[str, Any]]:
    """Server-sent events as (name, data)."""
    found = []
    for block in body.decode().strip().split("\n\n"):
        if not block.startswith(":"):
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def problem(response: httpx.Response, status: int, code: str) -> Any:
    """Check that the response is this problem, in full; gives its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {
        "type", "title", "status", "detail", "instance", "code", "request_id", "retryable", "errors",
    }  # fmt: skip
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response.headers["x-request-id"]
    assert len(body["detail"]) > 15
    return body
