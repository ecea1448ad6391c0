"""How long deleting takes: `python -m eval.bench.deletion --url URL [--documents 50000] [--delete 1000]`.

Fills a collection of a running service with short documents, deletes some of them in one call, and measures the time
until the answer, whether any search after the answer returns one of them, and the time until everything is purged.
Prints one JSON object. The model does not matter for it: a service with a cheap embedder will do.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from io import BytesIO
from typing import Any

import httpx

_ENDED = {"succeeded", "partial", "failed", "cancelled"}
_COLLECTION = "deletion-bench"
_SEARCHES = 50
_POLL_S = 0.2


def measure(client: httpx.Client, *, documents: int, delete: int) -> dict[str, Any]:
    """Times in seconds; `returned_afterwards` counts hits of deleted documents in searches after the answer."""
    client.put(f"/v1/collections/{_COLLECTION}", json={}).raise_for_status()
    begun = time.perf_counter()
    job = _fill(client, documents)
    filled_s = time.perf_counter() - begun
    victims = [_name(number) for number in range(0, documents, documents // delete)][:delete]
    begun = time.perf_counter()
    reply = client.post(f"/v1/collections/{_COLLECTION}/documents:delete", json={"document_ids": victims})
    answered_s = time.perf_counter() - begun
    reply.raise_for_status()
    returned = _returned(client, victims)
    receipt = _purged(client, reply.json()["receipt_id"])
    return {
        "documents": documents,
        "ingested": job["done"] - job["failed"],
        "ingested_s": round(filled_s, 1),
        "deleted": len(victims),
        "answered_s": round(answered_s, 3),
        "returned_afterwards": returned,
        "purged_s": round(time.perf_counter() - begun, 2),
        "removed": receipt["removed"],
    }


def _name(number: int) -> str:
    return f"document-{number}"


def _fill(client: httpx.Client, documents: int) -> dict[str, Any]:
    lines = "\n".join(
        json.dumps({"id": _name(number), "text": f"Ferry number {number} leaves harbour {number % 97}."})
        for number in range(documents)
    )
    files = {"files": ("all.jsonl.gz", BytesIO(gzip.compress(lines.encode())))}
    reply = client.post(f"/v1/collections/{_COLLECTION}/documents", files=files)
    reply.raise_for_status()
    while True:
        job: dict[str, Any] = client.get(f"/v1/jobs/{reply.json()['job_id']}").raise_for_status().json()
        if job["state"] in _ENDED:
            return job
        time.sleep(_POLL_S)


def _returned(client: httpx.Client, victims: list[str]) -> int:
    """Hits of deleted documents in searches for their own words, begun after the answer."""
    deleted, returned = set(victims), 0
    for victim in victims[:: max(1, len(victims) // _SEARCHES)]:
        query = f"Ferry number {victim.rpartition('-')[2]} leaves the harbour"
        body = {"query": query, "top_k": 20, "rerank": False}
        hits = client.post(f"/v1/collections/{_COLLECTION}/search", json=body).raise_for_status().json()["hits"]
        returned += sum(hit["document_id"] in deleted for hit in hits)
    return returned


def _purged(client: httpx.Client, receipt_id: str) -> dict[str, Any]:
    while True:
        receipt: dict[str, Any] = client.get(f"/v1/receipts/{receipt_id}").raise_for_status().json()
        if receipt["state"] == "purged":
            return receipt
        time.sleep(_POLL_S)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure deletion on a running service.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--delete", type=int, default=1_000)
    arguments = parser.parse_args()
    with httpx.Client(base_url=arguments.url, timeout=600) as client:
        report = measure(client, documents=arguments.documents, delete=arguments.delete)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
