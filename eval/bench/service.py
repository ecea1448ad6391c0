"""A service of a benchmark's own, on the sample documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

_READY_S = 600.0


@contextmanager
def served(folder: Path, *, samples: bool, **variables: str) -> Iterator[httpx.Client]:
    """A service in a process of its own, once it is ready and all its jobs have ended; `variables` are added to its
    environment.
    """
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *(["--samples"] if samples else [])], stderr=subprocess.DEVNULL, env={**os.environ, **variables}
    )
    try:
        with httpx.Client(base_url=_announced(folder, process), timeout=300) as client:
            _wait_until_idle(client)
            yield client
    finally:
        process.terminate()
        process.wait()


def _announced(folder: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            owner = json.loads((folder / "owner.json").read_text())
            if owner.get("url") and httpx.get(f"{owner['url']}/readyz", timeout=30).status_code == 200:
                return str(owner["url"])
        except (OSError, ValueError, httpx.TransportError):
            pass
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}")
        time.sleep(0.2)
    raise TimeoutError(f"the service was not ready within {_READY_S:g} s")


def _wait_until_idle(client: httpx.Client) -> None:
    """Until no document is queued or being indexed, and the credibility of all is worked out."""
    while True:
        waiting = [
            client.get("/v1/collections/default/documents", params={"status": status, "limit": 1}).json()["items"]
            for status in ("queued", "indexing")
        ]
        documents = client.get("/v1/collections/default").json()["documents"]
        settled = "\ncitewell_credibility_waiting 0\n" in client.get("/metrics").text
        if documents and settled and not any(waiting):
            return
        time.sleep(0.5)
