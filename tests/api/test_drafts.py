"""Drafts, their review, and training examples, over HTTP and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import Service
from api.cli import application
from api.keys import Keys
from eval.finetune.examples import read_examples
from eval.question_sets import load_question_set
from tests.api.live import problem
from tests.ingestion import ingest_texts

DRAFTS = "/v1/collections/default/drafts"
TEXT = "The lighthouse of Tolm was built in 1871. The tower of Tolm has 96 steps. The lamp of Tolm costs £40 a year."
EXAMPLES = "/v1/collections/default/training_examples"


def cli(url: str, *arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(application(), ["eval", *arguments, "--url", url], input=text)


@pytest.fixture
def lit(client: httpx.Client, service: Service) -> httpx.Client:
    ingest_texts(service, {"tolm.txt": TEXT})
    return client


def judge(client: httpx.Client, question: str, verdict: str, **fields: str) -> None:
    answer = client.post("/v1/collections/default/ask", json={"question": question}).json()
    path = f"/v1/answers/{answer['answer_id']}/feedback"
    assert client.post(path, json={"verdict": verdict, **fields}).status_code == 201


def test_drafts_are_reviewed_into_a_question_set(lit: httpx.Client, url: str, tmp_path: Path) -> None:
    """Accepted, rejected, left for later; a file with pending drafts is not asked."""
    drafts, out = tmp_path / "drafts.jsonl", tmp_path / "set.jsonl"
    assert cli(url, "new", str(drafts), "--count", "3").exit_code == 0
    assert len(load_question_set(drafts).questions) == 3
    refused = cli(url, "run", str(drafts))
    assert (refused.exit_code, "citewell eval review" in refused.output) == (2, True)
    told = CliRunner().invoke(application(), ["eval", "review", str(drafts), "--out", str(out)], input="a\nr\nq\n")
    assert "1 pending, 1 accepted, 1 rejected" in told.output
    assert [one.meta["review"] for one in load_question_set(out).questions] == ["accepted"]


def test_feedback_becomes_drafts_that_may_lack_an_answer(lit: httpx.Client, url: str, tmp_path: Path) -> None:
    """The reviewer gives the answer; `correct` is no draft."""
    judge(lit, "When was the lighthouse of Tolm built?", "incorrect")
    judge(lit, "Who owns the tower of Tolm?", "should_refuse")
    judge(lit, "How many steps has the tower of Tolm?", "correct")
    drafts, out = tmp_path / "drafts.jsonl", tmp_path / "set.jsonl"
    assert cli(url, "new", str(drafts), "--source", "feedback").exit_code == 0
    assert sorted(one.answerable for one in load_question_set(drafts).questions) == [False, True]
    CliRunner().invoke(application(), ["eval", "review", str(drafts), "--out", str(out)], input="a\na\n1871\n")
    assert {one.answers for one in load_question_set(out).questions} == {(), ("1871",)}


def test_failures_become_examples_unless_they_evaluate(lit: httpx.Client, url: str, tmp_path: Path) -> None:
    """Feedback with the right answer is an example until a question set asks the same."""
    judge(lit, "When was the lighthouse of Tolm built?", "incorrect", expected="1871")
    out = tmp_path / "failures.jsonl.gz"
    assert cli(url, "export-failures", str(out)).exit_code == 0
    (example,) = read_examples(out)
    assert (example.source, example.answerable) == ("feedback", True)
    protected = {
        "id": "q",
        "question": "When was the lighthouse of Tolm built",
        "answers": ["1871"],
        "answerable": True,
    }
    assert lit.put("/v1/question_sets/gate", content=json.dumps(protected)).status_code == 201
    assert lit.get(EXAMPLES).text == ""


def test_without_a_model_drafts_by_a_model_are_refused(lit: httpx.Client) -> None:
    """With the setting to set."""
    problem(lit.post(DRAFTS, json={"source": "model"}), 409, "no_judge")


def test_a_key_with_tags_gets_neither_feedback_nor_examples(lit: httpx.Client, service: Service) -> None:
    """Both quote what others asked and saw."""
    secret = Keys(service.catalogue).create("limited", scopes=["admin"], tags=["staff"])[1]
    headers = {"Authorization": f"Bearer {secret}"}
    assert lit.post(DRAFTS, json={"source": "feedback"}, headers=headers).status_code == 403
    assert lit.get(EXAMPLES, headers=headers).status_code == 403
    assert lit.post(DRAFTS, json={}, headers=headers).status_code == 200
