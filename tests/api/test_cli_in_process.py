"""Without a running server a command opens the data directory itself, and takes the same path through it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from typer.testing import CliRunner

from api.cli import application
from api.cli.in_process import InProcessTransport
from ingest.owner import DataDirectory
from tests.api.live import SHIPS
from tests.fakes import HashingEncoder


@pytest.fixture(autouse=True)
def fast_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake embedder in place of the packaged one."""
    monkeypatch.setattr("api.bootstrap.load_encoder", lambda settings: lambda name, revision: HashingEncoder(name))


def test_commands_open_the_directory_one_after_the_other(tmp_path: Path) -> None:
    """Each gives it back: what one ingests the next finds, and deletes with a complete receipt."""
    (tmp_path / "ships.txt").write_text(SHIPS)
    data_dir = ["--data-dir", str(tmp_path / "data")]
    ingested = CliRunner().invoke(application(), ["ingest", str(tmp_path / "ships.txt"), *data_dir])
    assert (ingested.exit_code, ingested.stdout) == (0, "1 ingested, 0 unchanged, 0 failed\n")
    found = CliRunner().invoke(application(), ["search", "ferry Aurora", "--json", *data_dir])
    assert json.loads(found.stdout)["hits"][0]["document_id"] == "ships.txt"
    deleted = CliRunner().invoke(application(), ["documents", "delete", "ships.txt", "--json", *data_dir])
    assert json.loads(deleted.stdout)["state"] == "purged"
    examined = CliRunner().invoke(application(), ["doctor", "--deep", *data_dir])
    assert examined.exit_code == 0, examined.stdout


def test_the_address_to_serve_on_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that will be served to others is filled without a key on this machine."""
    monkeypatch.setenv("CITEWELL_HOST", "0.0.0.0")
    (tmp_path / "ships.txt").write_text(SHIPS)
    result = CliRunner().invoke(
        application(), ["ingest", str(tmp_path / "ships.txt"), "--data-dir", str(tmp_path / "data")]
    )
    assert result.exit_code == 0, result.output


def test_a_directory_in_use_without_a_server_ends_with_3(tmp_path: Path) -> None:
    """As while another command works on it."""
    (tmp_path / "ships.txt").write_text(SHIPS)
    with DataDirectory(tmp_path / "data").own():
        result = CliRunner().invoke(
            application(), ["ingest", str(tmp_path / "ships.txt"), "--data-dir", str(tmp_path / "data")]
        )
    assert (result.exit_code, "data_directory_in_use" in result.stderr) == (3, True)


def test_doctor_mends_and_says_so(tmp_path: Path) -> None:
    """With --repair; a failed check ends with 3."""
    data_dir = ["--data-dir", str(tmp_path / "data")]
    (tmp_path / "ships.txt").write_text(SHIPS)
    CliRunner().invoke(application(), ["ingest", str(tmp_path / "ships.txt"), *data_dir])
    stray = tmp_path / "data" / "blobs" / "aa" / "bb" / ("aabb" + "0" * 60)
    stray.parent.mkdir(parents=True)
    stray.touch()
    damaged = CliRunner().invoke(application(), ["doctor", "--deep", "--json", *data_dir])
    told = {check["name"]: check["state"] for check in json.loads(damaged.stdout)["checks"]}
    assert (damaged.exit_code, told["checksums"], told["stray originals"]) == (3, "failed", "warning")
    mended = CliRunner().invoke(application(), ["doctor", "--repair", *data_dir])
    assert (mended.exit_code, mended.stdout.splitlines()[0]) == (0, "Repaired: 1 stray originals removed")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body; fails when asked to."""
    request = Request(scope, receive)
    if request.url.path == "/fail":
        raise RuntimeError("broken")
    size = len(await request.body())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-method", scope["method"].encode())]})
    await send({"type": "http.response.body", "body": str(size).encode()})


def test_the_transport_streams_the_body_and_survives_errors() -> None:
    """An application that fails is a 500, and the next call goes through."""

    def blocks() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000

    with InProcessTransport(echo) as transport, httpx2.Client(transport=transport, base_url="http://app") as client:
        assert client.get("/fail").status_code == 500
        response = client.post("/", content=blocks())
    assert (response.text, response.headers["x-method"]) == ("5000", "POST")


def test_the_transport_serves_several_threads() -> None:
    """Calls overlap on the event loop."""
    barrier = asyncio.Barrier(4)

    async def meet(scope: Scope, receive: Receive, send: Send) -> None:
        await barrier.wait()
        await echo(scope, receive, send)

    with (
        InProcessTransport(meet) as transport,
        httpx2.Client(transport=transport, base_url="http://app") as client,
        ThreadPoolExecutor(4) as executor,
    ):
        answers = list(executor.map(lambda _: client.get("/").text, range(4)))
    assert answers == ["0"] * 4


def test_what_was_opened_on_its_loop_is_closed_there() -> None:
    """Once, before the loop ends and in the task that opened it: connections belong to the loop that made them."""
    ended: list[asyncio.AbstractEventLoop] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        task = asyncio.current_task()
        yield
        assert asyncio.current_task() is task
        ended.append(asyncio.get_running_loop())

    with InProcessTransport(echo, lifespan()) as transport:
        loop = transport._loop
        assert not ended
    assert ended == [loop]
    assert loop.is_closed()


def test_what_cannot_begin_is_told() -> None:
    """Nothing is left running."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        InProcessTransport(echo, lifespan())
    assert threading.active_count() == threads
