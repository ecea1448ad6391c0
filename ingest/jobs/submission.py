"""Putting a job into the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, update

from ingest.catalogue import schema
from ingest.clock import now


def queue_job(
    connection: Connection,
    job_id: str,
    kind: str,
    *,
    collection_pk: int,
    key_id: str | None,
    payload: Mapping[str, Any],
    stage: str | None = None,
    total: int = 0,
) -> int:
    """Queue a job of `total` steps, under a fresh id, in the transaction that makes it necessary; returns its key.

    The runner that is to do it has to be notified after the commit.
    """
    moment = now()
    key = connection.execute(
        insert(schema.jobs).values(
            job_id=job_id,
            kind=kind,
            collection_pk=collection_pk,
            key_id=key_id,
            state="queued",
            stage=stage,
            done=0,
            total=total,
            failed=0,
            payload=dict(payload),
            attempts=0,
            cancel_requested=0,
            created_at=moment,
            updated_at=moment,
        )
    ).inserted_primary_key
    assert key is not None
    return int(key[0])


def count_steps(connection: Connection, job_pk: int, *, done: int, total: int, failed: int = 0) -> None:
    """Say how far a job has come. Progress clears the count of attempts: only a job that stands still is given up."""
    jobs = schema.jobs
    values = {"done": done, "total": total, "failed": failed, "attempts": 1, "updated_at": now()}
    connection.execute(update(jobs).where(jobs.c.pk == job_pk).values(**values))
