"""`citewell ingest DIR --sync`: the plan, what it does, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api.bootstrap import Service
from api.cli import application
from api.keys import Keys
from tests.api.live import HARBOUR, SHIPS, problem, upload


class Sync:
    """Runs `citewell ingest FOLDER --sync …` against the server of the test."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self._url = url

    def __call__(self, *arguments: str, status: int = 0) -> str:
        command = ["ingest", str(self.folder), "--sync", "--url", self._url, *arguments]
        result = CliRunner().invoke(application(), command)
        assert result.exit_code == status, result.output
        return result.stdout if status == 0 else result.stderr

    def plan(self, *arguments: str) -> dict[str, list[str]]:
        """What a dry run says, without what there is nothing of."""
        told: dict[str, list[str]] = json.loads(self("--dry-run", "--json", *arguments))["plan"]
        return {action: ids for action, ids in told.items() if ids}


@pytest.fixture
def sync(url: str, tmp_path: Path) -> Sync:
    """A folder of three files, one of them not to be read."""
    folder = tmp_path / "docs"
    (folder / "people").mkdir(parents=True)
    (folder / "ships.txt").write_text(SHIPS)
    (folder / "people" / "harbour.txt").write_text(HARBOUR)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    return Sync(url, folder)


def ids(client: httpx.Client) -> list[str]:
    """All documents of `default`."""
    return sorted(one["document_id"] for one in client.get("/v1/collections/default/documents").json()["items"])


def parsed(service: Service, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """Names of the files that are parsed from now on."""
    names: list[str] = []
    handler: Any = service.runner._handlers["ingest"]
    parse = handler._parse

    def watched(task: Any, password: object, given_up: object) -> Any:
        names.append(task.document_id)
        return parse(task, password, given_up)

    monkeypatch.setattr(handler, "_parse", watched)
    return names


def test_a_folder_is_followed(
    sync: Sync, client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added, left, changed, renamed and removed; a dry run says so beforehand and changes nothing."""
    everything = ["broken.pdf", "people/harbour.txt", "ships.txt"]
    assert sync.plan() == {"add": everything}
    assert sync.plan("--collection", "not-there-yet") == {"add": everything}
    assert ids(client) == []
    sync()
    assert ids(client) == everything
    seen = parsed(service, monkeypatch)
    assert sync.plan() == {"unchanged": everything[1:], "failed": ["broken.pdf"]}
    assert "2 unchanged, 1 failed before" in sync()
    assert seen == []
    (sync.folder / "ships.txt").write_text(SHIPS + " It has a café.")
    (sync.folder / "people").rename(sync.folder / "staff")
    (sync.folder / "broken.pdf").unlink()
    plan = {"add": ["staff/harbour.txt"], "update": ["ships.txt"], "remove": ["broken.pdf", "people/harbour.txt"]}
    told = sync.plan()
    assert {action: sorted(names) for action, names in told.items()} == plan
    assert "1 added, 1 updated" in sync()
    assert seen == ["ships.txt"]
    assert ids(client) == ["ships.txt", "staff/harbour.txt"]


def test_only_what_came_from_the_folder_is_removed(sync: Sync, client: httpx.Client) -> None:
    """Not what was uploaded by other ways; what has the same id and bytes becomes the folder's, without being read."""
    upload(client, {"ships.txt": SHIPS, "other.txt": "Other."})
    assert sync.plan()["adopt"] == ["ships.txt"]
    sync()
    (sync.folder / "ships.txt").unlink()
    assert sync.plan()["remove"] == ["ships.txt"]
    sync()
    assert "other.txt" in ids(client)
    assert "ships.txt" not in ids(client)


def test_two_folders_do_not_take_documents_from_each_other(sync: Sync) -> None:
    """The second is told which files stand in the way, and nothing is done."""
    sync()
    (sync.folder / "new.txt").write_text("New.")
    told = sync("--origin", "another folder", status=2)
    assert "origin_conflict" in told
    assert "'ships.txt'" in told
    assert sync.plan()["add"] == ["new.txt"]


def test_an_empty_folder_removes_nothing(sync: Sync, client: httpx.Client) -> None:
    """It is more likely not mounted than emptied."""
    sync()
    for file in [*sync.folder.rglob("*.*")]:
        file.unlink()
    assert "no_files" in sync(status=2)
    assert len(ids(client)) == 3


def test_attributes_are_applied_to_all_files(sync: Sync, client: httpx.Client) -> None:
    """Access tags given later hold for what has not changed, too."""
    sync()
    sync("--access", "staff")
    documents = client.get("/v1/collections/default/documents").json()["items"]
    assert {tuple(one["access"]) for one in documents if one["status"] == "ready"} == {("staff",)}


def test_a_corpus_in_the_folder_keeps_its_documents(sync: Sync, client: httpx.Client) -> None:
    """Its lines are no files: none is removed; an unchanged one costs nothing."""
    (sync.folder / "all.jsonl").write_text('{"id": "line", "text": "A line."}\n')
    sync()
    assert sync.plan()["corpora"] == ["all.jsonl"]
    assert "1 corpora" in sync()
    assert "line" in ids(client)


@pytest.mark.parametrize("arguments", [["--dry-run"], ["--origin", "x"]])
def test_options_of_sync_need_it(sync: Sync, arguments: list[str]) -> None:
    """They are not ignored."""
    result = CliRunner().invoke(application(), ["ingest", str(sync.folder), *arguments])
    assert (result.exit_code, "belong to --sync" in result.stderr) == (2, True)


def test_one_folder_at_a_time(sync: Sync, url: str) -> None:
    """A second one would have to share its ids."""
    command = ["ingest", str(sync.folder), str(sync.folder), "--sync", "--url", url]
    assert "takes one folder" in CliRunner().invoke(application(), command).stderr
    command = ["ingest", str(sync.folder / "ships.txt"), "--sync", "--url", url]
    assert "not_a_folder" in CliRunner().invoke(application(), command).stderr


def test_hidden_documents_are_neither_shown_nor_removed(sync: Sync, client: httpx.Client, service: Service) -> None:
    """A key that may not see a document learns only that its id is taken."""
    sync()
    sync("--access", "staff", "--origin", sync.folder.as_posix())
    secret = Keys(service.catalogue).create("crew", scopes=("write",), tags=("crew",))[1]
    body = {"origin": sync.folder.as_posix(), "files": {"ships.txt": "0" * 64, "new.txt": "1" * 64}}
    response = client.post(
        "/v1/collections/default/documents:compare", json=body, headers={"Authorization": f"Bearer {secret}"}
    )
    found = {action: names for action, names in response.json().items() if names}
    assert found == {"add": ["new.txt"], "conflicts": ["ships.txt"], "remove": ["broken.pdf"]}


@pytest.mark.parametrize("body", [{"origin": "a\n", "files": {}}, {"origin": "a", "files": {"a\n": "0" * 64}}])
def test_what_cannot_be_compared_is_refused(client: httpx.Client, body: dict[str, object]) -> None:
    """Ids and origins are the same as everywhere."""
    code = "invalid_origin" if body["origin"] == "a\n" else "invalid_document_id"
    problem(client.post("/v1/collections/default/documents:compare", json=body), 422, code)
