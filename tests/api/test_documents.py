"""Documents over HTTP: sending, replacing, listing, reading, deleting, and what is refused."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from tests.api.live import SHIPS, finish, problem, running, upload
from tests.fakes import HashingEncoder

DOCUMENTS = "/v1/collections/default/documents"


def test_upload_tells_what_becomes_of_each_file(client: httpx.Client) -> None:
    """The id is the relative path; the same bytes again are unchanged."""
    first = upload(client, {"./folder/a.txt": "alpha", "b.txt": "beta"})
    assert [(one["document_id"], one["filename"], one["status"]) for one in first["documents"]] == [
        ("folder/a.txt", "a.txt", "queued"),
        ("b.txt", "b.txt", "queued"),
    ]
    again = upload(client, {"folder/a.txt": "alpha", "b.txt": "gamma"})
    assert [one["status"] for one in again["documents"]] == ["unchanged", "queued"]
    assert again["documents_total"] == 2


@pytest.mark.parametrize("path", ["people/harbour.md", "people%2Fharbour.md"])
def test_a_document_is_read_by_its_id_with_slashes(filled: httpx.Client, path: str) -> None:
    """Record, text and original, with the slash plain or encoded."""
    record = filled.get(f"{DOCUMENTS}/{path}").json()
    assert record["document_id"] == "people/harbour.md"
    assert (record["status"], record["version"], record["error"]) == ("ready", 1, None)
    assert set(record["credibility"]) == {
        "score", "source", "freshness", "corroboration", "feedback", "extraction",
    }  # fmt: skip
    text = filled.get(f"{DOCUMENTS}/{path}/text")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Ingrid Solberg" in text.text
    original = filled.get(f"{DOCUMENTS}/{path}/content")
    assert original.content.startswith(b"# Office")
    assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''harbour.md"
    assert "sandbox" in original.headers["content-security-policy"]


def test_replacing_keeps_the_old_version_readable(filled: httpx.Client) -> None:
    """PUT makes version 2; version 1 can still be read by its number; the same bytes are 200 unchanged."""
    response = filled.put(f"{DOCUMENTS}/ships.txt", content=b"A new text.", headers={"Content-Type": "text/plain"})
    assert response.status_code == 202
    finish(filled, response.json()["job_id"])
    assert filled.get(f"{DOCUMENTS}/ships.txt").json()["version"] == 2
    assert filled.get(f"{DOCUMENTS}/ships.txt/text").text == "A new text."
    assert filled.get(f"{DOCUMENTS}/ships.txt/text", params={"version": 1}).text == SHIPS
    same = filled.put(f"{DOCUMENTS}/ships.txt", files={"file": ("x.txt", b"A new text.")})
    assert same.status_code == 200
    assert same.json()["documents"][0]["status"] == "unchanged"
    problem(filled.get(f"{DOCUMENTS}/ships.txt/text", params={"version": 9}), 404, "version_not_found")


def test_metadata_and_access_are_stored(client: httpx.Client) -> None:
    """Metadata for all, overlaid with that of one file; tags as JSON or as fields."""
    by_file = json.dumps({"a.txt": {"year": 2024}})
    upload(
        client,
        {"a.txt": "alpha", "b.txt": "beta"},
        metadata=json.dumps({"author": "Ann", "year": 2020}),
        metadata_by_file=by_file,
        access='["hr", "board"]',
    )
    record = client.get(f"{DOCUMENTS}/a.txt").json()
    assert record["metadata"] == {"author": "Ann", "year": 2024}
    assert record["access"] == ["board", "hr"]
    assert client.get(f"{DOCUMENTS}/b.txt").json()["metadata"]["year"] == 2020


def test_listing_pages_through_documents_of_a_status(filled: httpx.Client) -> None:
    """`limit` and `cursor` walk the list; `status` narrows it."""
    first = filled.get(DOCUMENTS, params={"limit": 1, "status": "ready"}).json()
    second = filled.get(DOCUMENTS, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    names = [page["items"][0]["document_id"] for page in (first, second)]
    assert names == ["ships.txt", "people/harbour.md"]
    assert second["next_cursor"] is None
    assert filled.get(DOCUMENTS, params={"status": "failed"}).json()["items"] == []


def test_deleting_gives_a_receipt_that_becomes_final(filled: httpx.Client) -> None:
    """The document is gone at once; the receipt then counts what was removed."""
    receipt = filled.delete(f"{DOCUMENTS}/people/harbour.md").json()
    assert receipt["state"] == "tombstoned"
    problem(filled.get(f"{DOCUMENTS}/people/harbour.md"), 404, "document_not_found")
    hits = filled.post("/v1/collections/default/search", json={"query": "harbour master"}).json()["hits"]
    assert all(hit["document_id"] != "people/harbour.md" for hit in hits)
    while receipt["state"] != "purged":
        receipt = filled.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert receipt["removed"]["versions"] == 1
    assert receipt["removed"]["blobs"] == 1


def test_deleting_by_ids_and_by_filter(client: httpx.Client) -> None:
    """Either way names documents; one that does not exist stops all."""
    upload(client, {"a.txt": "alpha", "b.txt": "beta"}, metadata='{"year": 2020}')
    upload(client, {"c.txt": "gamma"})
    path = f"{DOCUMENTS}:delete"
    problem(client.post(path, json={"document_ids": ["c.txt", "nix"]}), 404, "document_not_found")
    assert client.post(path, json={"filter": {"metadata.year": 2020}}).json()["documents"] == 2
    assert client.post(path, json={"document_ids": ["c.txt"]}).json()["documents"] == 1
    assert client.get(DOCUMENTS).json()["items"] == []
    problem(client.post(path, json={}), 422, "invalid_request")
    problem(client.post(path, json={"filter": {}}), 422, "invalid_request")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_corpus_is_a_document_a_line(client: httpx.Client, zipped: bool) -> None:
    """Every line is a document of its own; bad ones fail alone."""
    body = b'{"id": "d0", "text": "text 0"}\n\n{"_id": "d1", "text": "text 1"}\nno json'
    name = "all.jsonl.gz" if zipped else "all.jsonl"
    answer = upload(client, {name: gzip.compress(body) if zipped else body})
    assert [(one["document_id"], one["status"]) for one in answer["documents"]] == [
        ("d0", "queued"),
        ("d1", "queued"),
        (f"{name}#4", "failed"),
    ]
    job = client.get(f"/v1/jobs/{answer['job_id']}").json()
    assert (job["state"], job["total"], job["failed"]) == ("partial", 3, 1)
    failed = client.get(f"/v1/jobs/{answer['job_id']}/documents", params={"state": "failed"}).json()["items"]
    assert [(one["document_id"], one["error"]["code"]) for one in failed] == [(f"{name}#4", "invalid_line")]
    assert client.get(f"{DOCUMENTS}/d1/text").text == "text 1"


def test_a_long_corpus_is_counted_and_listed_in_part(client: httpx.Client) -> None:
    """All lines are counted, the first thousand listed."""
    body = "\n".join(json.dumps({"id": f"d{number}", "text": "alpha"}) for number in range(1002))
    answer = client.post(DOCUMENTS, files=[("files", ("all.jsonl", body.encode()))]).json()
    client.post(f"/v1/jobs/{answer['job_id']}/cancel")
    assert (answer["documents_total"], len(answer["documents"])) == (1002, 1000)


@pytest.mark.parametrize(
    ("name", "content", "status", "code", "said"),
    [
        ("a.txt", b"", 422, "empty_file", "send a file with content"),
        ("a.exe", b"MZ\x00\x01\x02\x03" * 40, 415, "unsupported_media_type", "convert it"),
        ("a.txt", b"\x00\x01\x02\x03" * 40, 415, "unsupported_media_type", "convert it"),
        ("a.jsonl", b"\n\n", 422, "empty_file", "one JSON object a line"),
        ("a.jsonl.gz", b"\x1f\x8b\x08broken", 422, "broken_document", "compress the corpus again"),
        ("x/text", b"alpha", 422, "invalid_upload", "does not end in /text"),
        ("x" * 401, b"alpha", 422, "invalid_upload", "1 to 400 characters"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(
    client: httpx.Client, name: str, content: bytes, status: int, code: str, said: str
) -> None:
    """Alone in its request, a bad file is an error that says what to do, and nothing is recorded."""
    body = problem(client.post(DOCUMENTS, files=[("files", (name, content))]), status, code)
    assert said in body["detail"]
    assert client.get(DOCUMENTS).json()["items"] == []


def test_bad_files_fail_beside_good_ones(client: httpx.Client) -> None:
    """The good file is ingested; each bad one is a failed document with its reason."""
    job = upload(client, {"good.txt": "alpha", "empty.txt": b"", "tool.exe": b"MZ\x00\x01\x02\x03" * 40})
    assert [one["status"] for one in job["documents"]] == ["queued", "failed", "failed"]
    assert client.get(f"{DOCUMENTS}/good.txt").json()["status"] == "ready"
    assert client.get(f"{DOCUMENTS}/empty.txt").json()["error"]["code"] == "empty_file"
    assert client.get(f"{DOCUMENTS}/tool.exe").json()["error"]["code"] == "unsupported_media_type"


def test_when_all_files_are_bad_each_is_named(client: httpx.Client) -> None:
    """One error names every file."""
    parts = [("files", ("a.txt", b"")), ("files", ("b.exe", b"MZ\x00\x01\x02\x03" * 40))]
    body = problem(client.post(DOCUMENTS, files=parts), 422, "invalid_files")
    assert [error["field"] for error in body["errors"]] == ["files[0]", "files[1]"]


def test_every_wrong_field_of_a_form_is_named_at_once(client: httpx.Client) -> None:
    """Two parts with one name, bad JSON, unknown names and unknown fields."""
    fields = {"metadata": "{", "metadata_by_file": '{"nix.txt": 1}', "access": "[1]", "colour": "red"}
    parts = [("files", ("a.txt", b"a")), ("files", ("./a.txt", b"b"))]
    body = problem(client.post(DOCUMENTS, files=parts, data=fields), 422, "invalid_upload")
    assert {error["field"] for error in body["errors"]} == {
        "files[1]", "metadata", "metadata_by_file.nix.txt", "access", "colour",
    }  # fmt: skip


def test_a_form_is_needed(client: httpx.Client) -> None:
    """Another content type, a broken form and a form without files are told apart."""
    problem(client.post(DOCUMENTS, json={}), 415, "unsupported_media_type")
    broken = {"Content-Type": "multipart/form-data"}
    problem(client.post(DOCUMENTS, content=b"x", headers=broken), 422, "invalid_form")
    problem(client.post(DOCUMENTS, files={"other": ("a.txt", b"a")}), 422, "invalid_upload")


def test_put_takes_one_readable_document(client: httpx.Client) -> None:
    """Not an empty body, not a corpus, not an id that a route ends in."""
    problem(client.put(f"{DOCUMENTS}/a.txt", content=b""), 422, "empty_file")
    line = b'{"id": "a", "text": "b"}'
    problem(client.put(f"{DOCUMENTS}/a.jsonl", content=line), 422, "corpus_not_allowed")
    problem(client.put(f"{DOCUMENTS}/a/text", content=b"a"), 422, "invalid_document_id")
    problem(client.put(f"{DOCUMENTS}/{quote(chr(1))}", content=b"a"), 422, "invalid_document_id")
    two = [("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))]
    problem(client.put(f"{DOCUMENTS}/a.txt", files=two), 422, "invalid_upload")


def test_a_document_that_does_not_exist_is_404(client: httpx.Client) -> None:
    """Reading and deleting alike."""
    for path in ("nix", "nix/text", "nix/content"):
        problem(client.get(f"{DOCUMENTS}/{path}"), 404, "document_not_found")
    problem(client.delete(f"{DOCUMENTS}/nix"), 404, "document_not_found")
    problem(client.get("/v1/receipts/nix"), 404, "receipt_not_found")


def test_limits_on_bodies_and_files(tmp_path: Path) -> None:
    """413 with and without a declared length, for the whole body and for one file."""
    settings = Settings(data_dir=tmp_path / "data", request_body_max_bytes=4096, upload_max_bytes=1024)
    load = HashingEncoder
    with (
        open_service(settings, load=lambda name, revision: load(name, revision)) as service,
        running(service) as url,
        httpx.Client(base_url=url) as client,
    ):
        big = b"x" * 5000
        problem(client.put(f"{DOCUMENTS}/a.txt", content=big), 413, "too_large")
        problem(client.put(f"{DOCUMENTS}/a.txt", content=iter([big])), 413, "too_large")
        problem(client.put(f"{DOCUMENTS}/a.txt", content=b"x" * 2000), 413, "too_large")
        problem(client.post(DOCUMENTS, files={"files": ("a.txt", b"x" * 2000)}), 413, "too_large")
        problem(client.post("/v1/collections/default/ask", content=iter([big])), 413, "too_large")
        assert client.get("/healthz").status_code == 200


class TestFull:
    """With one place for uploads."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"concurrent_uploads_max": 1})

    def test_one_more_upload_is_429(
        self, client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With `Retry-After`, by both ways; searches go on, and the place is free again afterwards."""
        entered, leave, submit = threading.Event(), threading.Event(), service.documents.submit

        def slow(*arguments: Any, **named: Any) -> Any:
            entered.set()
            assert leave.wait(10)
            return submit(*arguments, **named)

        monkeypatch.setattr(service.documents, "submit", slow)
        first = threading.Thread(target=client.put, args=(f"{DOCUMENTS}/a.txt",), kwargs={"content": b"A."})
        first.start()
        assert entered.wait(10)
        files = [("files", ("b.txt", b"B."))]
        for response in (client.post(DOCUMENTS, files=files), client.put(f"{DOCUMENTS}/c.txt", content=b"C.")):
            problem(response, 429, "overloaded")
            assert response.headers["retry-after"] == "1"
        assert client.post("/v1/collections/default/search", json={"query": "a"}).status_code == 200
        leave.set()
        first.join()
        assert client.post(DOCUMENTS, files=files).status_code == 202
