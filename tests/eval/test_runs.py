"""Runs as jobs, on a whole service with a fake embedder."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import delete, update

from api.bootstrap import Service, open_service
from api.settings import Settings
from eval.evaluations import Evaluation, Plan
from eval.question_sets import parse_question_set
from eval.rows import EvaluationRow
from eval.runs import planned_asks
from eval.schema import evaluation_rows, evaluations
from ingest.catalogue import schema
from ingest.jobs import Job
from retrieve import Access
from tests.fakes import HashingEncoder
from tests.ingestion import ingest_texts, wait_for_job
from tests.scripted_llm import ScriptedServer

QUESTIONS: list[dict[str, Any]] = [
    {"id": "q1", "question": "When was the lighthouse built?", "answers": ["1871"], "answerable": True,
     "gold_evidence": [[{"document_id": "lighthouse.txt", "quote": "built in 1871"}]],
     "paraphrases": ["lighthouse built when"]},
    {"id": "q2", "question": "What does a zebra weigh?", "answerable": False},
]  # fmt: skip
TEXT = "The lighthouse of Tolm was built in 1871. It is red and white."


def put(service: Service, questions: Sequence[dict[str, Any]] = QUESTIONS) -> None:
    parsed = parse_question_set([json.dumps(question) for question in questions])
    service.evaluation.question_sets.put("set", parsed, key_id=None)


def submit(service: Service, *, repeats: int = 2, **options: Any) -> Evaluation:
    stored = service.evaluation.question_sets.get("set")
    collection = service.collections.get("default")
    fingerprint = service.answerer.fingerprint(collection.live_generation)
    plan = Plan("set", stored.sha256, options.pop("fingerprint", fingerprint), repeats, **options)
    asks = len(planned_asks(stored.parsed(), range(repeats)))
    return service.evaluation.evaluations.submit(collection, plan, asks=asks)


def finish(service: Service, evaluation: Evaluation) -> tuple[Evaluation, Job]:
    service.runner.notify()
    assert evaluation.job_id is not None
    job = wait_for_job(service, evaluation.job_id)
    return service.evaluation.evaluations.get(evaluation.evaluation_id), job


def run(service: Service, **options: Any) -> Evaluation:
    evaluation, job = finish(service, submit(service, **options))
    assert job.state == "succeeded", job
    return evaluation


def rows_of(service: Service, evaluation: Evaluation) -> list[EvaluationRow]:
    return service.evaluation.evaluations.rows(evaluation)


@pytest.fixture
def filled(service: Service) -> Service:
    """A service with one document and the question set."""
    ingest_texts(service, {"lighthouse.txt": TEXT})
    put(service)
    return service


def test_every_question_phrasing_and_replicate_is_a_row(filled: Service) -> None:
    """Nothing is dropped: (2 phrasings + 1) x 2 replicates; the job counts them."""
    evaluation, job = finish(filled, submit(filled))
    keys = [row.key for row in rows_of(filled, evaluation)]
    assert keys == [("q1", 0, 0), ("q1", 0, 1), ("q1", 1, 0), ("q1", 1, 1), ("q2", 0, 0), ("q2", 0, 1)]
    assert (job.done, job.total) == (6, 6)
    assert (evaluation.verdict, evaluation.state) == ("no_baseline", "succeeded")


def test_rows_say_what_was_retrieved_and_whether_it_was_right(filled: Service) -> None:
    """The gold passage is found and named; an unanswerable question has no coverage."""
    rows = rows_of(filled, run(filled))
    assert {row.evidence_found for row in rows if row.question_id == "q1"} == {True}
    assert {row.evidence_found for row in rows if row.question_id == "q2"} == {None}
    assert rows[0].retrieved[0].startswith("lighthouse.txt@0-")
    answered = [row for row in rows if row.decision == "answer"]
    assert answered
    assert all(row.evidence_whole and row.citations and row.short_answer for row in answered)
    for row in rows:
        assert row.correct == (row.decision == ("answer" if row.answerable else "refuse"))


def test_a_baseline_lets_the_same_system_pass(filled: Service) -> None:
    """And says what it depends on."""
    first = run(filled)
    filled.evaluation.baselines.bless([first], key_id=None)
    second = run(filled)
    assert (second.verdict, second.gate["baseline"]) == ("pass", [first.evaluation_id])
    assert second.environment == first.environment
    assert {"scoring", "question_set", "judge", "fingerprint", "snapshot_seq", "versions"} <= set(second.environment)


@pytest.mark.parametrize("other_year", ["1955", "the year of the comet"])
def test_a_lost_document_fails_the_gate_with_its_stage(filled: Service, other_year: str) -> None:
    """The document says something else now, at the same places or shifted: every ask fails, because of the corpus."""
    filled.evaluation.baselines.bless([run(filled, repeats=3)], key_id=None)
    ingest_texts(filled, {"lighthouse.txt": TEXT.replace("1871", other_year)})
    put(filled, [{**one, "gold_evidence": [], "gold_doc_ids": ["lighthouse.txt"]} for one in QUESTIONS[:1]])
    other = run(filled, repeats=3)
    assert (other.verdict, other.gate["reasons"]) == ("not_comparable", ["the question set was changed"])
    put(filled)
    failed = run(filled, repeats=3)
    assert failed.verdict == "fail"
    assert failed.gate["blamed"] in ("task_success", "retrieval_coverage")
    assert failed.gate["diagnosis"]["stage"] == "corpus"
    replicates = {question: set[int]() for question in ("q1", "q2")}
    for row in rows_of(filled, failed):
        replicates[row.question_id].add(row.replicate)
    assert replicates == {"q1": set(range(16)), "q2": set(range(6))}  # what was lost was asked ten times more
    assert failed.gate["diagnosis"]["noise"] == []


def test_a_run_goes_on_where_it_was_killed(settings: Settings) -> None:
    """Rows that are there are not asked again; the process that asked is told apart."""

    def load(name: str, revision: str | None) -> HashingEncoder:
        return HashingEncoder(name, revision)

    with open_service(settings, load=load) as service:
        ingest_texts(service, {"lighthouse.txt": TEXT})
        put(service)
        evaluation = run(service)
        kept = rows_of(service, evaluation)[:2]
        gone = delete(evaluation_rows).where(evaluation_rows.c.question_id == "q2")
        unfinished = update(evaluations).values(state="running", finished_at=None, verdict=None)
        requeued = update(schema.jobs).where(schema.jobs.c.job_id == evaluation.job_id).values(state="running")
        for statement in (gone, unfinished, requeued):
            service.catalogue.write(lambda connection, statement=statement: connection.execute(statement))
    with open_service(settings, load=load) as service:
        evaluation, job = finish(service, evaluation)
        rows = rows_of(service, evaluation)
        assert (job.state, len(rows), rows[:2]) == ("succeeded", 6, kept)
        assert len({row.process for row in rows}) == 2


def test_a_pipeline_that_changed_meanwhile_ends_the_run(filled: Service) -> None:
    """Half of the rows would be of another system."""
    evaluation, job = finish(filled, submit(filled, repeats=1, fingerprint="other"))
    assert (job.state, job.error_code) == ("failed", "pipeline_changed")
    assert (evaluation.state, evaluation.verdict) == ("failed", "incomplete")


def test_an_error_is_an_outcome(filled: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends, with failed asks as rows."""
    from ingest.errors import Overloaded

    def fail(*_: object, **__: object) -> None:
        raise Overloaded("too many")

    monkeypatch.setattr(filled.searcher, "search", fail)
    evaluation = run(filled)
    rows = rows_of(filled, evaluation)
    assert {(row.decision, row.error_code, row.success) for row in rows} == {("error", "overloaded", False)}
    assert evaluation.metrics["error_rate"]["value"] == 1


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What nobody refers to any more, but itself in a circle, stays."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_connections_to_a_language_model_end_with_what_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run, one that is stopped by an error of its own, and a replay: none leaves one for the garbage collector."""
    with ScriptedServer() as server:
        own = settings.model_copy(update={"generator": "vllm", "vllm_url": server.url, "answer_threshold": 0.0})
        with open_service(own, load=lambda name, revision: HashingEncoder(name, revision)) as service:
            ingest_texts(service, {"lighthouse.txt": TEXT})
            put(service)
            row = rows_of(service, run(service))[0]
            assert all_left(server)
            assert row.answer_id is not None
            stored = service.answers.get(row.answer_id)
            assert service.replayer.replay_apart(stored, "question", access=Access.everything()).same
            assert all_left(server)
            monkeypatch.setattr(service.evaluation.evaluations, "add_row", lambda *_: 1 / 0)
            assert finish(service, submit(service))[1].state == "failed"
            assert all_left(server)


def all_left(server: ScriptedServer) -> bool:
    """Whether the server has been asked since, and is soon left alone."""
    ends = time.monotonic() + 2
    while server.connections and time.monotonic() < ends:
        time.sleep(0.01)
    asked = bool(server.requests)
    server.requests.clear()
    return asked and not server.connections


def test_stale_questions_are_reported_not_failed(filled: Service) -> None:
    """One of ten has lost its document; more than a tenth leaves no verdict."""
    many = [{**QUESTIONS[1], "id": f"z{n}"} for n in range(9)]
    lost = {**QUESTIONS[0], "gold_evidence": [[{"document_id": "gone.txt"}]]}
    put(filled, [lost, *many])
    evaluation = run(filled, repeats=1)
    assert (evaluation.stale, evaluation.verdict) == (("q1",), "no_baseline")
    assert {row.question_id for row in rows_of(filled, evaluation)} == {f"z{n}" for n in range(9)}
    put(filled, [lost, *many[:4]])
    assert run(filled, repeats=1).verdict == "incomplete"


def test_a_deleted_document_is_taken_out_of_rows(filled: Service) -> None:
    """What was quoted goes, the scores stay, and the receipt counts it."""
    evaluation = run(filled)
    quoted = sum(bool(row.citations) for row in rows_of(filled, evaluation))
    collection = filled.collections.get("default")
    receipt = filled.deletion.delete_documents(collection, ["lighthouse.txt"], key_id=None)
    filled.runner.notify()
    with filled.catalogue.read() as connection:
        job = connection.exec_driver_sql("SELECT job_id FROM jobs WHERE kind = 'purge'").scalar_one()
    wait_for_job(filled, job)
    assert filled.deletion.receipt(receipt.receipt_id).removed["evaluation_rows"] == quoted > 0
    rows = rows_of(filled, evaluation)
    assert "1871" not in json.dumps([row.as_json() for row in rows])
    assert any(row.success for row in rows)


def test_access_tags_of_the_asker_hold(filled: Service) -> None:
    """A run with tags sees what a search with them sees."""
    from tests.ingestion import ingest, upload

    ingest(filled, [upload(filled, "lighthouse.txt", TEXT.encode() + b"!", access=["hr"])])
    hidden = rows_of(filled, run(filled, access=("board",)))
    assert {row.decision for row in hidden} == {"refuse"}
    seen = rows_of(filled, run(filled, access=("hr",)))
    assert "answer" in {row.decision for row in seen}


def test_nights_are_counted_from_the_baseline(filled: Service) -> None:
    """Each nightly run adds a stake to the bet against the system."""
    filled.evaluation.baselines.bless([run(filled)], key_id=None)
    run(filled, nightly=True)
    second = run(filled, nightly=True)
    assert len(second.gate["slow_drift"]["stakes"]) == 2
    assert not second.gate["slow_drift"]["alarm"]
    assert run(filled).gate["slow_drift"] is None
