"""One stored run against another, on a whole service with a fake embedder."""

from __future__ import annotations

from api.bootstrap import Service
from eval.comparison import compare
from eval.evaluations import Evaluation
from tests.eval.test_runs import TEXT, put, run
from tests.ingestion import ingest_texts


def before_and_after(service: Service, *, blessed: bool) -> tuple[Evaluation, Evaluation]:
    """Three repeats before and after the only document says something else."""
    ingest_texts(service, {"lighthouse.txt": TEXT})
    put(service)
    before = run(service, repeats=3)
    if blessed:
        service.evaluation.baselines.bless([before], key_id=None)
    ingest_texts(service, {"lighthouse.txt": TEXT.replace("1871", "1955")})
    return before, run(service, repeats=3)


def test_fresh_asks_of_the_later_run_confirm_a_comparison(service: Service) -> None:
    """It failed its own gate, and fails against the same run here."""
    before, after = before_and_after(service, blessed=True)
    assert after.verdict == "fail"
    found = compare(service.evaluation, before, after)
    assert (found.result.verdict, found.result.blamed) == ("fail", after.gate["blamed"])
    assert compare(service.evaluation, before, before).result.verdict == "pass"


def test_a_suspicion_that_nothing_confirms_is_no_verdict(service: Service) -> None:
    """The later run had no baseline and asked nothing again; what changed is told all the same."""
    before, after = before_and_after(service, blessed=False)
    found = compare(service.evaluation, before, after)
    assert found.result.verdict == "incomplete"
    assert "no fresh asks confirm" in found.result.reasons[0]
    assert found.diagnosis is not None
    assert found.attribution is not None
    assert found.attribution.change < 0
