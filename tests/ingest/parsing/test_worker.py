from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
HEAVY = {"kreuzberg", "pypdfium2", "numpy", "pandas", "sqlalchemy", "torch", "fastapi", "pydantic"}


def test_neither_the_package_nor_the_worker_imports_libraries() -> None:
    """A worker starts fast, and the service never loads a parser library."""
    script = "import sys, ingest.parsing.worker, ingest.parsing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & set(done.stdout.split())


def test_a_worker_without_its_parent_leaves() -> None:
    """Whoever started it must still be there."""
    command = [sys.executable, "-m", "ingest.parsing.worker", "--memory-bytes", str(1 << 30), "--parent", "1"]
    done = subprocess.run(command, input=b"", capture_output=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, b"")
