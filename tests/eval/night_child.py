"""One nightly run in a process of its own, for a test to kill: `python -m tests.eval.night_child DATA_DIR`.

Begins the run, or goes on with the one that is there; prints its id, its state and how many asks it has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from api.bootstrap import open_service
from api.settings import Settings
from tests.eval.test_runs import TEXT, put, submit
from tests.fakes import HashingEncoder
from tests.ingestion import ingest_texts, wait_for_job

REPEATS = 100


def main(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, chunk_tokens=60, overlap_tokens=12, ragas="off")
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        evaluations = service.evaluation.evaluations
        if not evaluations.page():
            ingest_texts(service, {"lighthouse.txt": TEXT})
            put(service)
            submit(service, repeats=REPEATS, nightly=True)
            service.runner.notify()
        (evaluation,) = evaluations.page()
        assert evaluation.job_id is not None
        job = wait_for_job(service, evaluation.job_id)
        sys.stdout.write(f"{evaluation.evaluation_id} {job.state} {len(evaluations.rows(evaluation))}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
