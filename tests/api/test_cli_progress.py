"""Progress of jobs on a terminal."""

from __future__ import annotations

from typing import Any, cast

import pytest

from api.cli.progress import progress_of_jobs
from api.client import Job


def test_on_a_terminal_each_stage_has_its_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts of all jobs together; jobs of another kind have stages of their own, which are passed over."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stages = [{"stage": "parsing", "done": 3, "total": 4}, {"stage": "training", "done": 1, "total": 4}]
    job = cast("Job", {"total": 4, "done": 2, "stages": stages})
    with progress_of_jobs() as progress:
        shown: Any = progress
        shown([job, job])
        done = {task.description: (task.completed, task.total) for task in shown._bars.tasks}
    assert done == {"Parsing": (6, 8), "Chunking": (0, 8), "Embedding": (0, 8), "Indexing": (0, 8)}
    assert "Parsing" in capsys.readouterr().err
