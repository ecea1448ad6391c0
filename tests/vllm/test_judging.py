"""The judged metrics of ragas on a real vLLM: whatever noise its replies hold, no row is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from eval.judging import Score
from eval.settings import JudgedMetric
from tests.eval.test_runs import put, submit
from tests.ingestion import ingest_texts, wait_for_job
from tests.vllm.conftest import VllmServer

pytest.importorskip("ragas", reason="needs the extra citewell[ragas]")

from api.bootstrap import open_service
from api.settings import Settings
from tests.fakes import HashingEncoder

PLACES = {"Tolm": 1871, "Hask": 1902, "Morvie": 1788}
TEXTS = {
    f"{name}.txt": f"The lighthouse of {name} was built in {year}. It is red and white."
    for name, year in PLACES.items()
}
QUESTIONS: list[dict[str, Any]] = [
    {"id": name, "question": f"When was the lighthouse of {name} built?", "answers": [str(year)], "answerable": True,
     "gold_doc_ids": [f"{name}.txt"]}
    for name, year in PLACES.items()
]  # fmt: skip
METRICS = get_args(JudgedMetric)


def test_every_metric_of_every_answer_has_an_outcome(vllm: VllmServer, tmp_path: Path) -> None:
    """A score in [0, 1], or the reason why there is none: no JSON to its end, no valid rating, a prompt too long."""
    settings = Settings(
        data_dir=tmp_path / "data", chunk_tokens=60, overlap_tokens=12, answer_threshold=0.0, ask_top_k=2,
        judge_url=vllm.url, judge_metrics=METRICS, judge_max_tokens=64, judge_timeout_s=120,
    )  # fmt: skip
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        ingest_texts(service, TEXTS)
        put(service, QUESTIONS)
        job_id = submit(service, repeats=1).job_id
        service.runner.notify()
        assert job_id is not None
        assert wait_for_job(service, job_id, wait_s=800).state == "succeeded"
        evaluation = service.evaluation.evaluations.page()[0]
        scores = list(service.evaluation.second_opinions.scores.of(evaluation))
        answered = {row.question_id for row in service.evaluation.evaluations.rows(evaluation) if row.answer}
    assert len(answered) == len(PLACES)
    assert {(one.question_id, one.metric) for one in scores} == {(q, m) for q in answered for m in METRICS}
    assert all(told(one) for one in scores), scores
    for metric in METRICS:
        counted = evaluation.metrics[f"ragas_{metric}"]
        assert counted["n"] + counted["unscored"] == len(answered)
    print(Counter((one.metric, one.failure or "scored") for one in scores))


def told(score: Score) -> bool:
    """Exactly one of a value in range and a known reason."""
    if score.value is not None:
        return score.failure is None and 0 <= score.value <= 1
    return score.failure in ("invalid_reply", "undefined", "generator_refused_request")
