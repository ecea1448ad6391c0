"""Second opinions on runs of a whole service, by a scripted judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ragas", reason="needs the extra citewell[ragas]")

from api.bootstrap import Service, open_service
from api.settings import Settings
from eval.evaluations import Evaluation
from eval.judging import Score
from eval.judging.opinions import free_metrics, sampled
from eval.question_sets import EvaluationQuestion
from ingest.errors import InvalidInput
from tests.eval.made_rows import FAILED, REFUSED, row
from tests.eval.test_runs import TEXT, put, run
from tests.fakes import HashingEncoder
from tests.ingestion import ingest_texts
from tests.scripted_llm import Action, Finish, HangUp, Pause, Say, Script, ScriptedServer, Status, saying

_CONTEXT = 16_384  # the prompts of ragas are long
REPLIES = {
    "StatementGeneratorOutput": {"statements": ["It was built in 1871.", "It is red."]},
    "NLIStatementOutput": {"statements": [
        {"statement": "a", "reason": "r", "verdict": 1}, {"statement": "b", "reason": "r", "verdict": 0},
    ]},
    "AnswerAccuracyOutput": {"rating": 4},
    "ContextRecallOutput": {"classifications": [{"statement": "a", "reason": "r", "attributed": 1}]},
}  # fmt: skip


def judging(body: dict[str, Any]) -> Sequence[Action]:
    """The reply to what the schema of the request asks for."""
    schema = body["response_format"]["json_schema"]["schema"]
    return (Say((json.dumps(REPLIES[schema["title"]]),)), Finish())


def settings_of(folder: Path, server: ScriptedServer, **options: Any) -> Settings:
    chosen = {"judge_max_tokens": 200, **options}
    folders = {"data_dir": folder / "data", "chunk_tokens": 60, "overlap_tokens": 12}
    return Settings(**folders, judge_url=server.url, judge_model="scripted", **chosen)


def judged(folder: Path, script: Script, **options: Any) -> tuple[Evaluation, list[Score], ScriptedServer]:
    """A run of the two questions (one is refused), its scores, and the server that judged."""
    with ScriptedServer(script, context=_CONTEXT) as server, opened(settings_of(folder, server, **options)) as service:
        ingest_texts(service, {"lighthouse.txt": TEXT})
        put(service)
        evaluation = run(service)
        return evaluation, list(service.evaluation.second_opinions.scores.of(evaluation)), server


def opened(settings: Settings) -> Any:
    return open_service(settings, load=lambda name, revision: HashingEncoder(name, revision))


def test_answers_are_judged_and_refusals_are_not(tmp_path: Path) -> None:
    """A score for each metric of the one answer; the metrics of the run hold them, and who judged."""
    evaluation, scores, server = judged(tmp_path, judging)
    assert {(one.question_id, one.metric, one.value) for one in scores} == {
        ("q1", "faithfulness", 0.5), ("q1", "context_recall", 1.0), ("q1", "answer_accuracy", 1.0),
    }  # fmt: skip
    metrics = evaluation.metrics
    assert (metrics["ragas_faithfulness"]["value"], metrics["ragas_faithfulness"]["n"]) == (0.5, 1)
    assert metrics["ragas_id_recall"]["value"] == 1.0
    assert evaluation.environment["judge"].startswith("scripted at http://127.0.0.1")
    assert {body["temperature"] for body in server.requests} == {0.0}


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        (saying("the answer is good"), "invalid_reply"),
        (lambda body: (Status(500),), "generator_failed"),
        (lambda body: (Say(('{"statements": ',)), HangUp()), "generator_unreachable"),
        (lambda body: (Pause(5),), "generator_timeout"),
    ],
)
def test_a_judge_that_fails_leaves_rows_unscored(tmp_path: Path, script: Script, failure: str) -> None:
    """No row is lost, and the run comes to its end."""
    evaluation, scores, _ = judged(tmp_path, script, judge_timeout_s=0.5, judge_metrics=("faithfulness",))
    assert [one.value for one in scores] == [None]
    assert scores[0].failure == failure
    assert evaluation.metrics["ragas_faithfulness"] == {"value": None, "low": None, "high": None, "n": 0, "unscored": 1}
    assert evaluation.verdict == "no_baseline"


def test_the_same_judge_is_not_asked_again_and_another_is(tmp_path: Path) -> None:
    """What is remembered belongs to the judge; a failure is not remembered."""
    with ScriptedServer(judging, context=_CONTEXT) as server:
        with opened(settings_of(tmp_path, server)) as service:
            ingest_texts(service, {"lighthouse.txt": TEXT})
            put(service)
            run(service)
            asked = len(server.requests)
            assert len(list(service.evaluation.second_opinions.scores.of(run(service)))) == 3
            assert len(server.requests) == asked
        other = settings_of(tmp_path, server, judge_max_tokens=201)
        with opened(other) as service:
            assert run(service).metrics["ragas_faithfulness"]["value"] == 0.5
            assert len(server.requests) == 2 * asked


def test_no_more_than_the_stated_number_are_judged_at_a_time(tmp_path: Path) -> None:
    """Two workers, several metrics."""
    highest = 0

    def slowly(body: dict[str, Any]) -> Sequence[Action]:
        nonlocal highest
        highest = max(highest, server.running)
        return (Pause(0.05), *judging(body))

    with (
        ScriptedServer(slowly, context=_CONTEXT) as server,
        opened(settings_of(tmp_path, server, judge_concurrency=2)) as service,
    ):
        ingest_texts(service, {"lighthouse.txt": TEXT})
        put(service)
        run(service)
    assert 1 <= highest <= 2


def test_the_sample_is_the_same_every_night_and_holds_answers_only() -> None:
    """First asks of questions that were answered."""
    rows = [row(f"q{i}", r) for i in range(20) for r in range(2)]
    rows += [row("refused", **REFUSED), row("failed", **FAILED), row("other", phrasing=1)]
    drawn = sampled(rows, 5)
    assert [one.key for one in drawn] == [one.key for one in sampled(list(reversed(rows)), 5)]
    assert len(drawn) == 5
    assert len(sampled(rows, 100)) == 20


async def test_free_metrics_leave_refusals_out_and_count_what_is_unscored() -> None:
    """Of two asks one was refused: it has a recall, and no similarity."""
    question = EvaluationQuestion(id="q", question="?", answerable=True, answers=("7",), gold_doc_ids=("a.txt",))
    found = await free_metrics([row("q"), row("q", 1, **{**REFUSED, "retrieved": ()})], {"q": question})
    assert (found["ragas_id_recall"].value, found["ragas_id_recall"].n) == (0.5, 2)
    assert (found["ragas_id_precision"].n, found["ragas_id_precision"].unscored) == (1, 1)
    assert (found["ragas_exact_match"].value, found["ragas_exact_match"].n) == (1.0, 1)


def test_a_judge_without_ragas_is_refused_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    monkeypatch.setattr("api.judge.is_installed", lambda: False)
    settings = Settings(data_dir=tmp_path / "data", judge_url="http://127.0.0.1:9", judge_model="m")
    with pytest.raises(InvalidInput, match=r"citewell\[ragas\]"), opened(settings):
        pass


def test_a_run_without_a_judge_has_no_scores(service: Service) -> None:
    """And no metric of ragas where it is switched off."""
    put(service)
    evaluation = run(service)
    assert list(service.evaluation.second_opinions.scores.of(evaluation)) == []
    assert not [name for name in evaluation.metrics if name.startswith("ragas_")]
