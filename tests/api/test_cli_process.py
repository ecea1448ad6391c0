"""The command line as a process of its own: what it loads, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import application
from ingest.owner import DataDirectory

_HEAVY = ("torch", "faiss", "sqlalchemy", "sentence_transformers", "fastapi", "httpx2", "pydantic", "numpy")
_OF_THE_SERVICE = ("torch", "faiss", "sqlalchemy", "transformers", "fastapi", "numpy", "pandas", "scipy", "tantivy")
_OF_OTHERS = ("rich", "httpx", "filelock", "api.cli.evaluate")
"""What no client needs where nothing is a terminal and the server is named; typer itself loads pydantic."""


def citewell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    ["", "serve", "ingest", "ask", "search", "doctor", "documents", "documents list", "documents show",
     "documents text", "documents delete", "jobs", "jobs list", "jobs watch", "jobs show", "jobs cancel",
     "jobs retry", "keys", "keys create",
     "keys list", "keys revoke"],
)  # fmt: skip
def test_every_command_explains_itself(command: str) -> None:
    """Status 0, on stdout."""
    result = CliRunner().invoke(application(), [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert len(result.stdout) > 200


def test_help_loads_no_heavy_library() -> None:
    """It would take seconds; each is loaded by the command that needs it."""
    program = f"import api.cli, sys; print([name for name in {_HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


@pytest.mark.parametrize("command", [["ingest", __file__], ["ask", "x"], ["jobs", "show", "x"], ["documents", "list"]])
def test_a_client_command_loads_no_heavy_library(command: list[str], tmp_path: Path) -> None:
    """What talks to a server needs its address only; a second upload would cost more in starting than in looking."""
    argv = ["citewell", *command, "--url", "http://127.0.0.1:9", "--data-dir", str(tmp_path)]
    program = f"""
import sys
import api.cli
sys.argv = {argv}
try:
    api.cli.main()
except SystemExit as ended:
    print(ended.code, [name for name in {_OF_THE_SERVICE + _OF_OTHERS} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "3 []\n", run.stderr


def test_no_command_shows_the_help() -> None:
    """Wrong usage, so status 2."""
    result = citewell()
    assert result.returncode == 2
    assert "Usage:" in result.stdout + result.stderr


def test_a_wrong_option_ends_with_2() -> None:
    """With a hint."""
    result = citewell("ask", "x", "--nonsense")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--nonsense" in result.stderr


def test_an_error_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    """On stderr, with its stable code."""
    result = citewell("ask", "x", "--url", "http://127.0.0.1:9")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("citewell: no citewell server answers at http://127.0.0.1:9")
    assert result.stderr.endswith("(unreachable)\n")


def test_a_foreign_url_is_wrong_input() -> None:
    """Not a crash."""
    result = citewell("ask", "x", "--url", "nonsense://x")
    assert result.returncode in (2, 3)
    assert "Traceback" not in result.stderr


@pytest.mark.real_model
def test_serve_announces_itself_and_stops_on_a_signal(tmp_path: Path) -> None:
    """Another command finds it by the data directory; SIGTERM ends it with status 0."""
    data_dir = tmp_path / "data"
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            directory, deadline = DataDirectory(data_dir), time.monotonic() + 120
            while directory.owner_url() is None:
                assert server.poll() is None, server.stderr and server.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert citewell("documents", "--json", "--data-dir", str(data_dir)).stdout == "[]\n"
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.stderr is not None
        log = server.stderr.read()
    assert server.returncode == 0
    assert "citewell serves at http://127.0.0.1:" in log
