"""Jobs as callers and handlers see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

INGEST_STAGES = ("parsing", "chunking", "embedding", "indexing")
TERMINAL_STATES = frozenset({"succeeded", "partial", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as callers see it. `done` of `total` documents have ended, `failed` of them without success.

    `stages` says how many documents have passed each stage; None where a kind of job reports none.
    """

    pk: int
    job_id: str
    kind: str
    collection_pk: int
    collection: str
    key_id: str | None
    state: str
    stage: str | None
    stages: Mapping[str, int] | None
    done: int
    total: int
    failed: int
    error_code: str | None
    error_message: str | None
    payload: Mapping[str, Any]
    created_at: str
    updated_at: str

    @property
    def progress(self) -> Mapping[str, int]:
        """Documents past each stage, in the order of the stages; one that has ended counts as past them all."""
        reported = self.stages or {}
        stages = INGEST_STAGES if self.kind == "ingest" else tuple(reported)
        return {stage: min(self.total, max(self.done, reported.get(stage, 0))) for stage in stages}


@dataclass(frozen=True, slots=True)
class JobDocument:
    """One document's part in a job."""

    pk: int
    document_id: str
    filename: str
    stage: str | None
    state: str
    error_code: str | None
    error_message: str | None


class JobCancelled(Exception):
    """Raised inside a handler by `JobContext.check` after someone cancelled the job."""


class JobContext(Protocol):
    """What a running handler may ask and tell."""

    def check(self) -> None:
        """Raise `JobCancelled` when the job was cancelled; called between steps."""
        ...

    def report_stage(self, stage: str) -> None: ...

    def report_progress(self, stage: str, done: int) -> None:
        """So many documents of the job have passed the stage; written about once a second. Thread-safe."""
        ...


class JobHandler(Protocol):
    """Does one kind of job; returns the terminal state. May raise `CitewellError` to fail the job with its code."""

    def run(self, job: Job, context: JobContext) -> str: ...
