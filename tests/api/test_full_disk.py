"""A full disk: uploads get a clear 507, nothing is corrupt, and work goes on once there is room."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.bootstrap import open_service
from api.doctor.examination import examine
from api.settings import Settings
from tests.api.live import events, problem, running
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser, wait_for

_DISK_BYTES = 24 << 20
_BALLAST_BYTES = 16 << 20
_FILE_BYTES = 200 << 10


def load(name: str, revision: str | None) -> HashingEncoder:
    return HashingEncoder(name, revision)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    program = shutil.which("mount")
    if program is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(
        [program, "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def text(number: int) -> bytes:
    """200 KiB that no other file has; a sentence that can be found, and long words that cost few tokens."""
    chance = random.Random(number)  # noqa: S311 - chance, not secrets
    filler = "\n".join(chance.randbytes(400).hex() for _ in range(_FILE_BYTES // 801))
    return f"Ferry number {number} leaves the harbour.\n{filler}".encode()


def send(client: httpx.Client, number: int) -> httpx.Response:
    """Upload one file."""
    files = [("files", (f"{number}.txt", text(number)))]
    return client.post("/v1/collections/default/documents", files=files)


def found(client: httpx.Client, number: int) -> bool:
    """Whether a search finds the document."""
    body = {"query": f"ferry number {number} leaves the harbour", "mode": "lexical", "top_k": 50}
    hits = client.post("/v1/collections/default/search", json=body).json()["hits"]
    return f"{number}.txt" in {hit["document_id"] for hit in hits}


def ended(client: httpx.Client, job_id: str) -> str:
    """The state in which a job ends."""
    return str(events(client.get(f"/v1/jobs/{job_id}/events", timeout=60).content)[-1][1]["state"])


def test_a_full_disk_refuses_and_recovers(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads until nothing fits any more; what was accepted is whole once there is room, and more is ingested."""
    monkeypatch.setattr("ingest.jobs.runner._FULL_DISK_WAIT_S", 0.3)
    monkeypatch.setattr("ingest.jobs.runner._RETRY_S", 0.3)
    settings = Settings(data_dir=small_disk / "data", chunk_tokens=60, overlap_tokens=12, index_checkpoint_s=0.2)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(_BALLAST_BYTES))
    with (
        open_service(settings, parser=TextParser(), load=load) as service,
        running(service) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        assert ended(client, send(client, 0).json()["job_id"]) == "succeeded"
        accepted = {}
        for number in range(1, 200):
            response = send(client, number)
            if response.status_code != 202:
                break
            accepted[number] = response.json()["job_id"]
        problem(response, 507, "storage_full")
        assert response.json()["retryable"]
        assert accepted
        assert client.get("/healthz").status_code == 200
        answer = client.post("/v1/collections/default/search", json={"query": "ferry"})
        assert answer.status_code == 200, answer.text
        ballast.unlink()
        states = {number: ended(client, job_id) for number, job_id in accepted.items()}
        assert set(states.values()) == {"succeeded"}
        assert ended(client, send(client, 999).json()["job_id"]) == "succeeded"
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert all(found(client, number) for number in [0, *accepted, 999])
    checks = {check.name: (check.state, check.detail) for check in examine(settings, deep=True, load=load).checks}
    bad = {name: told for name, told in checks.items() if told[0] == "failed" and name != "disk"}
    assert bad == {}
