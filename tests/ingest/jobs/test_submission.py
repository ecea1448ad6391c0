"""Jobs of any kind are queued, and say how far they are."""

from __future__ import annotations

from ingest.catalogue import Catalogue
from ingest.jobs import Jobs, count_steps, queue_job


def test_a_queued_job_is_claimed_with_its_payload(catalogue: Catalogue, jobs: Jobs) -> None:
    """And its progress is seen by whoever asks."""
    catalogue.write(
        lambda connection: queue_job(
            connection, "job_1", "work", collection_pk=1, key_id="k", payload={"set": "a"}, total=7
        )
    )
    job = jobs.claim(["work"], "me", 30)
    assert job is not None
    assert (job.job_id, job.state, job.key_id, job.payload, job.total) == ("job_1", "running", "k", {"set": "a"}, 7)
    catalogue.write(lambda connection: count_steps(connection, job.pk, done=3, total=7, failed=1))
    assert (jobs.get("job_1").done, jobs.get("job_1").failed) == (3, 1)
