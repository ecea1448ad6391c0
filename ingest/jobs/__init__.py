"""The durable job queue: jobs live in the catalogue, are claimed under a lease, and always end in a terminal state.

The queue knows no kind of job: layers offer handlers, `api` registers them. A handler may be stopped at any moment and
called again; it picks up what its documents' states say is left.
"""

from ingest.jobs.endings import end_job, settle_job_counts
from ingest.jobs.model import TERMINAL_STATES, Job, JobCancelled, JobContext, JobDocument, JobHandler
from ingest.jobs.queue import Jobs
from ingest.jobs.runner import JobRunner
from ingest.jobs.submission import count_steps, queue_job

__all__ = [
    "TERMINAL_STATES",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobDocument",
    "JobHandler",
    "JobRunner",
    "Jobs",
    "count_steps",
    "end_job",
    "queue_job",
    "settle_job_counts",
]
