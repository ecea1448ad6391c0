"""Question sets and evaluations over HTTP and on the command line."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from api.bootstrap import Service
from api.cli import application
from api.keys import Keys
from tests.api.live import finish, problem

QUESTIONS = [
    {"id": "q1", "question": "Who is the harbour master?", "answers": ["Ingrid Solberg"], "answerable": True,
     "gold_doc_ids": ["people/harbour.md"], "tags": ["people"]},
    {"id": "q2", "question": "What does a zebra weigh?", "answerable": False},
]  # fmt: skip
BODY = "".join(json.dumps(question) + "\n" for question in QUESTIONS)


def run(client: httpx.Client, **fields: Any) -> Any:
    """An evaluation that has ended."""
    body = {"collection": "default", "question_set": "ships", "repeats": 2, **fields}
    response = client.post("/v1/evaluations", json=body)
    assert response.status_code == 202, response.text
    assert finish(client, response.json()["job_id"])["state"] == "succeeded"
    return client.get(f"/v1/evaluations/{response.json()['evaluation_id']}").json()


@pytest.fixture
def asked(filled: httpx.Client) -> httpx.Client:
    """A client whose server holds documents and the question set."""
    assert filled.put("/v1/question_sets/ships", content=BODY).status_code == 201
    return filled


def test_question_sets_are_versioned_by_content(client: httpx.Client) -> None:
    """201 for new content, 200 for the same; both versions can be read."""
    first = client.put("/v1/question_sets/ships", content=BODY)
    again = client.put("/v1/question_sets/ships", content=BODY)
    second = client.put("/v1/question_sets/ships", content=BODY.splitlines()[0])
    assert [response.status_code for response in (first, again, second)] == [201, 200, 201]
    assert client.get("/v1/question_sets/ships").json() == second.json()
    old = client.get("/v1/question_sets/ships", params={"version": first.json()["version"]}).json()
    assert (old["questions"], old["answerable"], old["tags"]) == (2, 1, {"people": 1})
    content = client.get("/v1/question_sets/ships/content", params={"version": first.json()["version"]})
    assert [json.loads(line)["id"] for line in content.text.splitlines()] == ["q1", "q2"]


def test_wrong_question_sets_are_told_whole(client: httpx.Client) -> None:
    """Every wrong line; a wrong name; one that does not exist."""
    wrong = client.put("/v1/question_sets/ships", content='{"id": "q"}\nnonsense\n')
    fields = {error["field"] for error in problem(wrong, 422, "invalid_question_set")["errors"]}
    assert fields == {"line 1.question", "line 1.answerable", "line 2"}
    problem(client.put("/v1/question_sets/_a", content=BODY), 422, "invalid_question_set_name")
    problem(client.get("/v1/question_sets/nix"), 404, "question_set_not_found")


def test_a_run_a_baseline_and_a_verdict(asked: httpx.Client) -> None:
    """The whole way, with rows as JSON lines and as Parquet."""
    first = run(asked)
    assert (first["state"], first["verdict"], first["gate"]) == ("succeeded", "no_baseline", [])
    assert set(first["metrics"]["task_success"]) == {"value", "low", "high", "n", "unscored"}
    blessed = asked.post(f"/v1/evaluations/{first['evaluation_id']}/bless", json={"note": "first"})
    assert blessed.status_code == 201
    second = run(asked)
    assert (second["verdict"], second["baseline"]) == ("pass", [first["evaluation_id"]])
    assert {"metric", "baseline", "value", "delta", "low", "high", "p", "verdict"} <= set(second["gate"][0])
    rows = asked.get(f"/v1/evaluations/{first['evaluation_id']}/rows")
    lines = [json.loads(line) for line in rows.text.splitlines()]
    assert [(line["question_id"], line["replicate"]) for line in lines] == [("q1", 0), ("q1", 1), ("q2", 0), ("q2", 1)]
    scores = asked.get(f"/v1/evaluations/{first['evaluation_id']}/judge_scores")
    assert (scores.status_code, scores.text) == (200, "")
    parquet = asked.get(f"/v1/evaluations/{first['evaluation_id']}/rows", params={"format": "parquet"})
    frame = pd.read_parquet(io.BytesIO(parquet.content))
    assert list(frame["question_id"]) == ["q1", "q1", "q2", "q2"]
    path = f"/v1/evaluations/{second['evaluation_id']}/comparison"
    found = asked.get(path, params={"baseline": first["evaluation_id"]}).json()
    assert (found["verdict"], found["attribution"]["change"], found["answer_drift"]) == ("pass", 0, 0)


def test_evaluations_are_listed_newest_first_in_pages(asked: httpx.Client) -> None:
    """With a cursor."""
    ids = [run(asked, repeats=1)["evaluation_id"] for _ in range(3)]
    page = asked.get("/v1/evaluations", params={"limit": 2}).json()
    rest = asked.get("/v1/evaluations", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [one["evaluation_id"] for one in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    assert asked.get("/v1/evaluations", params={"collection": "other"}).json()["items"] == []


def test_what_does_not_exist_is_said(asked: httpx.Client) -> None:
    """Evaluation, question set, collection; and an unfinished run cannot be blessed."""
    problem(asked.get("/v1/evaluations/nix"), 404, "evaluation_not_found")
    body = {"collection": "default", "question_set": "nix"}
    problem(asked.post("/v1/evaluations", json=body), 404, "question_set_not_found")
    body = {"collection": "nix", "question_set": "ships"}
    problem(asked.post("/v1/evaluations", json=body), 404, "collection_not_found")


def test_keys_see_only_what_is_theirs(asked: httpx.Client, service: Service) -> None:
    """Of evaluations on other collections, and of question sets that others put, they see nothing."""
    keys = Keys(service.catalogue)
    owner = {"Authorization": f"Bearer {keys.create('all', scopes=['admin'])[1]}"}
    other = {"Authorization": f"Bearer {keys.create('one', scopes=['admin'], collections=['mine'])[1]}"}
    body = {"collection": "default", "question_set": "ships", "repeats": 1}
    begun = asked.post("/v1/evaluations", json=body, headers=owner).json()
    problem(asked.get(f"/v1/evaluations/{begun['evaluation_id']}", headers=other), 404, "evaluation_not_found")
    assert asked.get("/v1/evaluations", headers=other).json()["items"] == []
    problem(asked.get("/v1/question_sets/ships", headers=other), 404, "question_set_not_found")
    problem(asked.put("/v1/question_sets/ships", content=BODY, headers=other), 403, "forbidden")
    problem(asked.post("/v1/evaluations", json=body, headers=other), 403, "forbidden")


def command(*arguments: str, url: str) -> Result:
    return CliRunner().invoke(application(), ["eval", *arguments, "--url", url])


def test_the_command_line_beside_a_running_service(asked: httpx.Client, url: str, tmp_path: Path) -> None:
    """run without a baseline ends with 4, after a blessing with 0; gate, compare, JUnit and Parquet."""
    path = tmp_path / "ships.jsonl"
    path.write_text(BODY)
    first = command("run", str(path), "--repeats", "2", "--json", url=url)
    assert first.exit_code == 4, first.output
    evaluation_id = json.loads(first.stdout)["evaluation_id"]
    assert command("bless", evaluation_id, "--note", "first", url=url).exit_code == 0
    junit, parquet = tmp_path / "gate.xml", tmp_path / "rows.parquet"
    files = ["--junit", str(junit), "--parquet", str(parquet)]
    second = command("run", "ships", "--repeats", "2", *files, url=url)
    assert second.exit_code == 0, second.output
    assert second.stdout.startswith("eval_")
    suite = ET.parse(junit).getroot()  # noqa: S314 - written by the command above
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert len(pd.read_parquet(parquet)) == 4
    second_id = second.stdout.split(":")[0]
    assert command("gate", second_id, url=url).exit_code == 0
    assert command("compare", evaluation_id, second_id, url=url).exit_code == 0
    assert command("gate", evaluation_id, url=url).exit_code == 4
    assert command("run", "nix", url=url).exit_code == 2
