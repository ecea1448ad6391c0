"""What a second upload of the same folder costs: `python -m eval.bench.reupload --url URL --folder DIR`.

Sends every file of a folder to a running service twice and waits for the end of the jobs each time, over HTTP and by
`citewell ingest DIR` (whose own start is measured by itself, with a command that does nothing). Prints one JSON object:
seconds of both, the second as a share of the first, and how many documents were not `unchanged` the second time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

Result = TypeVar("Result")

_ENDED = {"succeeded", "partial", "failed", "cancelled"}
_COLLECTIONS = ("reupload-http", "reupload-cli")
_FILES_PER_REQUEST = 100
_POLL_S = 0.05


def measure(url: str, folder: Path) -> dict[str, Any]:
    """Both ways, each into a collection of its own, which is deleted at the end."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with httpx.Client(base_url=url, timeout=600) as client:
        report = {
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
            "http": _twice(client, _COLLECTIONS[0], lambda name: _send(client, name, folder, files)),
            "citewell ingest": _twice(client, _COLLECTIONS[1], lambda name: _run(url, name, folder)),
        }
        for name in _COLLECTIONS:  # not earlier: a purge of the same bytes may come between an upload and its recording
            client.delete(f"/v1/collections/{name}").raise_for_status()
    report["citewell --help, s"] = round(_timed(lambda: _command("--help"))[0], 2)
    return report


def _twice(client: httpx.Client, name: str, upload: Callable[[str], int]) -> dict[str, Any]:
    client.put(f"/v1/collections/{name}", json={}).raise_for_status()
    first, _ = _timed(lambda: upload(name))
    second, changed = _timed(lambda: upload(name))
    return {
        "first_s": round(first, 2),
        "second_s": round(second, 3),
        "share": round(second / first, 4),
        "not_unchanged": changed,
    }


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def _send(client: httpx.Client, collection: str, folder: Path, files: list[Path]) -> int:
    """Upload everything, and wait; returns how many documents were to be ingested."""
    changed = 0
    for start in range(0, len(files), _FILES_PER_REQUEST):
        page = files[start : start + _FILES_PER_REQUEST]
        parts = [("files", (path.relative_to(folder).as_posix(), path.read_bytes())) for path in page]
        reply = client.post(f"/v1/collections/{collection}/documents", files=parts).raise_for_status().json()
        changed += sum(document["status"] != "unchanged" for document in reply["documents"])
        while client.get(f"/v1/jobs/{reply['job_id']}").raise_for_status().json()["state"] not in _ENDED:
            time.sleep(_POLL_S)
    return changed


def _run(url: str, collection: str, folder: Path) -> int:
    result = _command("ingest", str(folder), "--collection", collection, "--url", url, "--json")
    documents = [document for one in json.loads(result)["submissions"] for document in one["documents"]]
    return sum(document["status"] != "unchanged" for document in documents)


def _command(*arguments: str) -> str:
    command = [sys.executable, "-m", "api.cli", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a second upload of the same folder.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    sys.stdout.write(json.dumps(measure(arguments.url, arguments.folder), indent=2) + "\n")


if __name__ == "__main__":
    main()
