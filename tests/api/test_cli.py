"""The commands against a running server, found by its address or by the data directory it owns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import application
from api.client import Client
from api.settings import Settings
from ingest.jobs import Job, JobCancelled, JobContext, Jobs
from ingest.pipeline import IngestHandler
from tests.api.live import HARBOUR, SHIPS

QUESTION = "When does the ferry Aurora sail from Norrhamn?"


class Commands:
    """Runs `citewell …` against the server of the test."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, *arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(application(), [*map(str, arguments), "--url", self._url])
        assert result.exit_code == status, result.output
        return result

    def json(self, *arguments: object, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status).stdout)


@pytest.fixture
def citewell(url: str) -> Commands:
    """On an empty server."""
    return Commands(url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents, and a hidden file that is none."""
    folder = tmp_path / "docs"
    (folder / "people").mkdir(parents=True)
    (folder / "ships.txt").write_text(SHIPS)
    (folder / "people" / "harbour.txt").write_text(HARBOUR)
    (folder / ".hidden.txt").write_text("hidden")
    return folder


@pytest.fixture
def stocked(citewell: Commands, folder: Path) -> Commands:
    """On a server that holds the two documents."""
    citewell("ingest", folder)
    return citewell


def test_ingest_counts_what_became_of_the_files(citewell: Commands, folder: Path) -> None:
    """New ones, unchanged ones, and failures with their codes in a table; some success is success."""
    first = citewell("ingest", folder, "--metadata", '{"year": 2025}', "--access", "staff", "--access", "crew")
    assert first.stdout == "2 ingested, 0 unchanged, 0 failed\n"
    assert first.stderr.splitlines()[-1] == "2 of 2 documents"
    (folder / "empty.txt").write_text(" ")
    again = citewell("ingest", folder)
    assert again.stdout == "0 ingested, 2 unchanged, 1 failed\n"
    failure, advice = again.stderr.splitlines()[-2:]
    assert failure.split("\t")[:2] == ["empty.txt", "empty_document"]
    assert "citewell jobs retry job_" in advice
    document = citewell.json("documents", "show", "people/harbour.txt")
    assert (document["metadata"], document["access"]) == ({"year": 2025}, ["crew", "staff"])


def test_what_was_cancelled_is_not_called_ingested(
    citewell: Commands, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the first of two documents waits for the model: both are told as such, and how to go on."""

    def cancel(self: IngestHandler, job: Job, context: JobContext) -> str:
        raise JobCancelled(job.job_id)

    with monkeypatch.context() as patch:
        patch.setattr(IngestHandler, "run", cancel)
        told = citewell("ingest", folder, status=2)
    assert told.stdout == "0 ingested, 0 unchanged, 0 failed, 2 cancelled\n"
    job_id = told.stderr.split()[-1]
    assert "cancelled; 2 of 2 documents done or cancelled" in citewell("jobs", "show", job_id).stdout
    assert "succeeded; 2 of 2 documents done, 0 failed" in citewell("jobs", "retry", job_id).stdout


def test_an_interrupted_command_names_its_jobs(
    citewell: Commands, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They go on, and can be looked after."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.cli.progress._is_open", lambda job: True)
    monkeypatch.setattr(Client, "wait_for_job", interrupt)
    assert "is not lost, the service goes on with it" in citewell("ingest", folder, status=130).stderr


def test_ingest_makes_a_collection_that_is_not_there(citewell: Commands, folder: Path) -> None:
    """A new user's first command on an own folder works; the second time there is nothing to make."""
    assert "collection handbook is new" in citewell("ingest", folder, "--collection", "handbook").output
    assert "is new" not in citewell("ingest", folder, "--collection", "handbook").output


def test_ingest_ends_with_2_when_everything_failed(citewell: Commands, tmp_path: Path) -> None:
    """The failures are in the JSON, too."""
    (tmp_path / "empty.txt").write_text(" ")
    result = citewell("ingest", tmp_path / "empty.txt", "--json", status=2)
    told = json.loads(result.stdout)
    assert [failure["error"]["code"] for failure in told["failures"]] == ["empty_document"]
    assert told["jobs"][0]["state"] == "failed"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ingest", "no-such-file"), "no-such-file does not exist (invalid_path)"),
        (("ingest", ".", "--metadata", "[1]"), "--metadata must be a JSON object"),
        (("search", "x", "--filter", "{"), "--filter is not JSON"),
        (("search", "x", "--filter", '{"colour": 1}'), "colour"),
        (("search", "x", "--collection", "none"), "collection 'none' does not exist"),
        (("search", "x", "--top-k", "0"), "top-k"),
        (("ask", "x" * 5000), "question_too_long"),
        (("ask", "x", "--max-risk", "0.05"), "no_certificate"),
        (("documents", "show", "nothing"), "document_not_found"),
        (("jobs", "show", "nothing"), "job_not_found"),
    ],
)
def test_wrong_input_ends_with_2_and_says_what_is_wrong(
    citewell: Commands, arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, without a traceback; nothing on stdout."""
    monkeypatch.chdir(tmp_path)
    result = citewell(*arguments, status=2)
    assert told in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_ask_prints_the_answer_with_its_evidence(stocked: Commands) -> None:
    """Marker, quote, document, version and offsets; streamed sentences read the same."""
    answer = stocked.json("ask", QUESTION)
    citation = answer["citations"][0]
    told = stocked("ask", QUESTION).stdout
    assert told.startswith(f"{answer['answer'][: citation['answer_end']]} {citation['marker']}")
    assert f"{citation['marker']} ships (ships.txt, version 1, characters {citation['char_start']}-" in told
    assert f"“{citation['quote']}”" in told
    assert f"Confidence {answer['confidence']:.2f}" in told
    streamed = stocked("ask", QUESTION, "--stream").stdout
    assert streamed.replace("\n", " ") == told.replace("\n", " ")


def test_a_refusal_is_a_result(stocked: Commands) -> None:
    """Status 0, with the reason and how sure one would have to be."""
    told = stocked("ask", "qwertz uiop").stdout
    assert told.startswith("No answer: ")
    assert "needed 0." in told


def test_documents_still_coming_in_are_told(stocked: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an answer and with a refusal, and not between the lines of either."""
    assert "being ingested" not in stocked("ask", "qwertz uiop").stderr
    monkeypatch.setattr(Jobs, "documents_pending", lambda self, collection_pk: 1_200)
    for question in (QUESTION, "qwertz uiop"):
        told = stocked("ask", question)
        assert "1,200 documents were still being ingested" in told.stderr
        assert "being ingested" not in told.stdout


def test_search_prints_passages_with_scores(stocked: Commands) -> None:
    """And the JSON is the one of the HTTP interface."""
    told = stocked("search", "ferry Aurora", "--mode", "lexical", "--top-k", "1", "--no-rerank").stdout
    assert told.startswith("1. ships (ships.txt, version 1, characters 0-")
    assert "lexical " in told
    assert "vector " not in told
    hits = stocked.json("search", "ferry", "--filter", '{"document_id": "ships.txt"}')["hits"]
    assert {hit["document_id"] for hit in hits} == {"ships.txt"}
    nothing = stocked("search", "qwertz", "--mode", "lexical")
    assert (nothing.stdout, nothing.stderr) == ("", "No passage matches.\n")


def test_documents_are_listed_shown_read_and_deleted(stocked: Commands) -> None:
    """`list` may be left out; text is printed as it is."""
    rows = [line.split("\t") for line in stocked("documents").stdout.splitlines()]
    assert [(row[0], row[2]) for row in rows] == [("people/harbour.txt", "ready"), ("ships.txt", "ready")]
    assert stocked("documents", "list", "--status", "failed").stdout == ""
    assert [one["document_id"] for one in stocked.json("documents", "--limit", "1")] == ["people/harbour.txt"]
    assert "sha256: " in stocked("documents", "show", "ships.txt").stdout
    assert stocked("documents", "text", "ships.txt").stdout == SHIPS
    assert "1 versions" in stocked("documents", "delete", "ships.txt").stdout
    assert len(stocked.json("documents")) == 1


def test_jobs_are_shown_and_an_ended_one_cannot_be_cancelled(citewell: Commands, folder: Path) -> None:
    """State, counts, and the failed documents."""
    (folder / "empty.txt").write_text(" ")
    job_id = citewell.json("ingest", folder)["jobs"][0]["job_id"]
    told = citewell("jobs", "show", job_id).stdout.splitlines()
    assert told[0] == f"{job_id}: ingest, partial; 3 of 3 documents done, 1 failed"
    assert told[1].startswith("empty.txt\tempty_document\t")
    assert citewell.json("jobs", "show", job_id)["failures"][0]["document_id"] == "empty.txt"
    assert "already ended" in citewell("jobs", "cancel", job_id, status=2).stderr


def test_jobs_are_listed_and_watched(citewell: Commands, folder: Path) -> None:
    """`list` may be left out; watching one that has ended tells how, and one that failed ends with 2."""
    job_id = citewell.json("ingest", folder)["jobs"][0]["job_id"]
    (line,) = citewell("jobs").stdout.splitlines()
    assert line.startswith(f"{job_id}\tingest\tdefault\tsucceeded\t2/2\t\t2")
    (folder / "empty.txt").write_text(" ")
    failed = citewell.json("ingest", folder / "empty.txt", status=2)["jobs"][0]["job_id"]
    assert [job["job_id"] for job in citewell.json("jobs")] == [failed, job_id]
    assert [job["job_id"] for job in citewell.json("jobs", "--state", "failed", "--state", "queued")] == [failed]
    assert "succeeded; 2 of 2" in citewell("jobs", "watch", job_id).stdout
    assert citewell.json("jobs", "watch", failed, status=2)["failed"] == 1
    citewell("reindex", "--chunk-tokens", 40)
    other = citewell.json("jobs", "--limit", 1)[0]
    assert (other["kind"], citewell.json("jobs", "watch", other["job_id"])["state"]) == ("reindex", "succeeded")
    assert "does not exist" in citewell("jobs", "--collection", "nix", status=2).stderr


def test_failed_documents_of_a_job_are_retried(citewell: Commands, folder: Path) -> None:
    """What cannot be read fails again, and the command with it when there is nothing else."""
    (folder / "empty.txt").write_text(" ")
    job_id = citewell.json("ingest", folder)["jobs"][0]["job_id"]
    told = citewell("jobs", "retry", job_id)
    assert "partial; 3 of 3 documents done, 1 failed" in told.stdout
    assert told.stderr.splitlines()[-1] == "3 of 3 documents"


def test_an_index_is_built_anew_listed_and_taken_back(stocked: Commands) -> None:
    """Each call says which generation is live; settings do not go with a list."""
    (first,) = stocked.json("reindex", "--list")
    assert "is live" in stocked("reindex", "--chunk-tokens", 40).stdout
    assert [one["state"] for one in stocked.json("reindex", "--list")] == ["retired", "live"]
    assert stocked.json("reindex", "--activate", first["generation"])["live"] == first["generation"]
    assert first["generation"] in stocked("reindex", "--list").stdout
    assert "--activate" in stocked("reindex", "--list", "--gate", "sample", status=2).output


def test_a_server_on_the_data_directory_is_found(url: str, settings: Settings, folder: Path) -> None:
    """Without --url the owner of the directory answers."""
    arguments = ["ingest", str(folder), "--data-dir", str(settings.data_dir)]
    result = CliRunner().invoke(application(), arguments)
    assert result.exit_code == 0, result.output
    assert Commands(url).json("documents")


def test_a_component_that_is_not_there_ends_with_3() -> None:
    """Here the server."""
    result = CliRunner().invoke(application(), ["ask", "x", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 3
    assert "no citewell server answers at http://127.0.0.1:9" in result.stderr


def test_a_folder_without_data_is_not_made_into_one(tmp_path: Path) -> None:
    """Only `ingest`, `serve` and `keys create` begin a data directory."""
    result = CliRunner().invoke(application(), ["search", "x", "--data-dir", str(tmp_path / "new")])
    assert result.exit_code == 2
    assert "citewell ingest" in result.stderr
    assert not (tmp_path / "new").exists()


def test_wrong_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of their environment variable."""
    monkeypatch.setenv("CITEWELL_PORT", "high")
    monkeypatch.setenv("CITEWELL_ANSWER_THRESHOLD", "2")
    result = CliRunner().invoke(application(), ["doctor"])
    assert result.exit_code == 2
    assert "CITEWELL_PORT: " in result.stderr
    assert "CITEWELL_ANSWER_THRESHOLD: " in result.stderr


def test_keys_are_made_listed_and_revoked_in_the_data_directory(url: str, settings: Settings) -> None:
    """A running server knows a new key at once, and wants one from then on."""

    def keys(*arguments: str) -> Result:
        result = CliRunner().invoke(application(), ["keys", *arguments, "--data-dir", str(settings.data_dir)])
        assert result.exit_code == 0, result.output
        return result

    secret = keys("create", "night run", "--scope", "read", "--scope", "write", "--tag", "staff").stdout.strip()
    refused = CliRunner().invoke(application(), ["documents", "--url", url])
    assert (refused.exit_code, "--key" in refused.stderr) == (2, True)
    assert CliRunner().invoke(application(), ["documents", "--url", url, "--key", secret]).exit_code == 0
    key_id, name, scopes, collections, tags, _, revoked = keys("list").stdout.rstrip("\n").split("\t")
    assert (name, scopes, collections, tags, revoked) == ("night run", "read write", "all", "staff", "")
    keys("revoke", key_id)
    assert json.loads(keys("list", "--json").stdout)[0]["revoked_at"]
    unknown = CliRunner().invoke(application(), ["keys", "revoke", "key_0", "--data-dir", str(settings.data_dir)])
    assert (unknown.exit_code, "key_not_found" in unknown.stderr) == (2, True)


def test_fit_fusion_writes_weights_that_help_or_says_that_they_do_not(stocked: Commands, tmp_path: Path) -> None:
    """Both documents are found first already, so nothing is better; asked to, it writes all the same."""
    lines = [
        json.dumps(
            {"id": str(n), "question": QUESTION, "answers": [], "answerable": True, "gold_doc_ids": ["ships.txt"]}
        )
        for n in range(50)
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(lines))
    out = tmp_path / "fusion.json"
    result = stocked("eval", "fit-fusion", tmp_path / "set.jsonl", "--out", out, status=4)
    assert "nothing is written" in result.stdout
    assert not out.exists()
    assert stocked("eval", "fit-fusion", tmp_path / "set.jsonl", "--out", out, "--force").exit_code == 0
    assert {"vector", "lexical"} == set(*json.loads(out.read_text()).values())
