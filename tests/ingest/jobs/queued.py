"""Jobs put into the queue by hand."""

from __future__ import annotations

from sqlalchemy import insert, update

from ingest.catalogue import Catalogue, schema
from ingest.clock import in_future, now


def add(catalogue: Catalogue, job_id: str, kind: str = "work", **values: object) -> None:
    """Queue a job without documents."""
    row = {
        "job_id": job_id,
        "kind": kind,
        "collection_pk": 1,
        "state": "queued",
        "done": 0,
        "total": 0,
        "failed": 0,
        "payload": {},
        "attempts": 0,
        "cancel_requested": 0,
        "created_at": now(),
        "updated_at": now(),
        **values,
    }
    catalogue.write(lambda connection: connection.execute(insert(schema.jobs).values(**row)))


def let_lease_run_out(catalogue: Catalogue) -> None:
    """As if every worker had been silent for a minute."""
    late = update(schema.jobs).values(lease_expires_at=in_future(-60))
    catalogue.write(lambda connection: connection.execute(late))
