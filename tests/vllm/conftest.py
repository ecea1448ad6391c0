"""A real vLLM on the CPU with a tiny model, started by the command that `make test-vllm` names."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.vllm.tiny_model import build_tiny_model

MODEL = "tiny"
_READY_S = 480
_STOP_S = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only where this folder is named on the command line."""
    parser.addoption("--vllm", type=Path, default=None, help="the vllm command to start")
    parser.addoption("--vllm-url", default=None, help="a server with the tiny model that runs already")


@dataclass(frozen=True)
class VllmServer:
    """A running server and its metrics."""

    url: str

    def metric(self, *names: str) -> float:
        """Sum over all series of these metrics."""
        series = re.compile(rf"(?:{'|'.join(map(re.escape, names))})(?:{{.*}})? (\S+)")
        lines = httpx.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return sum(float(found[1]) for line in lines if (found := series.fullmatch(line)))

    def running(self) -> int:
        """Requests in the engine, waiting ones included."""
        return int(self.metric("vllm:num_requests_running", "vllm:num_requests_waiting"))

    def finished(self) -> int:
        """Requests that came to their end; those whose client left are not counted."""
        return int(self.metric("vllm:request_success_total"))


@pytest.fixture(scope="session")
def vllm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """Started once; stopped at the end, with everything that it started."""
    running = request.config.getoption("vllm_url", None)
    if running is not None:
        yield VllmServer(running)
        return
    command = request.config.getoption("vllm", None)
    if command is None:
        pytest.skip("needs a real vLLM; run make test-vllm")
    folder = tmp_path_factory.mktemp("vllm")
    build_tiny_model(folder / "model")
    port = _free_port()
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                command.absolute(), "serve", folder / "model", "--served-model-name", MODEL, "--host", "127.0.0.1",
                "--port", str(port), "--max-model-len", "2048", "--max-num-seqs", "64", "--enforce-eager",
                "--enable-prefix-caching",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_environment(), "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
            start_new_session=True,
        )  # fmt: skip
    try:
        server = VllmServer(f"http://127.0.0.1:{port}")
        _wait_until_ready(server, process, log)
        yield server
    finally:
        _stop(process)


def _environment() -> dict[str, str]:
    """Ours, but with compiled modules kept: vLLM imports the same ones in three processes, one after the other."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _wait_until_ready(server: VllmServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{server.url}/v1/models").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.25)
    tail = log.read_text(errors="replace")[-3000:]
    pytest.fail(f"vLLM did not start within {_READY_S} s, or ended with {process.poll()}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
