"""The Python client against a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.bootstrap import Service
from api.client import Client, Job, ProblemError, StreamEvent, UploadFile
from api.client.events import read_events
from ingest.errors import DeadlineExceeded, FieldProblem, Unavailable
from tests.api.live import HARBOUR, SHIPS

QUESTION = "When does the ferry Aurora sail from Norrhamn?"


@pytest.fixture
def citewell(url: str) -> Iterator[Client]:
    """A client of a running server with an empty `default` collection."""
    with Client(url) as client:
        yield client


@pytest.fixture
def stocked(citewell: Client, tmp_path: Path) -> Client:
    """The same with two documents, one of them in a folder."""
    (tmp_path / "ships.txt").write_text(SHIPS)
    (tmp_path / "harbour.txt").write_text(HARBOUR)
    files = [
        UploadFile(tmp_path / "ships.txt", "ships.txt"),
        UploadFile(tmp_path / "harbour.txt", "people/harbour 港.txt"),
    ]
    submission = citewell.upload(files, metadata={"year": 2025}, access=["staff"])
    assert citewell.wait_for_job(submission["job_id"])["state"] == "succeeded"
    return citewell


def test_collections_are_made_changed_and_deleted(citewell: Client) -> None:
    """Each call gives the contract's object back."""
    assert citewell.put_collection("ferries", {"language": "en"})["language"] == "en"
    assert [one["name"] for one in citewell.collections()] == ["default", "ferries"]
    assert citewell.collection("ferries")["documents"] == 0
    receipt = citewell.delete_collection("ferries")
    assert citewell.wait_for_receipt(receipt["receipt_id"], timeout_s=30)["state"] == "purged"


def test_uploaded_documents_are_listed_read_and_downloaded(stocked: Client, tmp_path: Path) -> None:
    """Ids with slashes, spaces and Chinese come back as they went."""
    assert [one["document_id"] for one in stocked.documents()] == ["ships.txt", "people/harbour 港.txt"]
    assert list(stocked.documents(status="failed")) == []
    document = stocked.document("people/harbour 港.txt")
    assert (document["metadata"], document["access"]) == ({"year": 2025}, ["staff"])
    assert stocked.document_text("people/harbour 港.txt", version=1) == HARBOUR
    stocked.download("ships.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == SHIPS


def test_put_document_makes_a_version(stocked: Client) -> None:
    """The same id with other bytes is version 2."""
    submission = stocked.put_document("ships.txt", b"Another text.")
    stocked.wait_for_job(submission["job_id"])
    assert stocked.document("ships.txt")["version"] == 2
    assert stocked.document_text("ships.txt") == "Another text."


def test_lists_are_fetched_page_by_page() -> None:
    """The cursor of each page leads to the next."""
    pages = {"": {"items": [1, 2], "next_cursor": "7"}, "7": {"items": [3], "next_cursor": None}}

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=pages[request.url.params.get("cursor", "")])

    with Client(transport=httpx2.MockTransport(answer)) as client:
        assert list(client.documents()) == [1, 2, 3]


def test_jobs_are_followed_to_their_end(stocked: Client, tmp_path: Path) -> None:
    """Progress sees the last state; failed documents say why."""
    (tmp_path / "empty.txt").write_text(" ")
    seen: list[Job] = []
    submission = stocked.upload([UploadFile(tmp_path / "empty.txt", "empty.txt")])
    job = stocked.wait_for_job(submission["job_id"], progress=seen.append)
    assert (job["state"], job["failed"]) == ("failed", 1)
    assert seen[-1] == job
    failures = stocked.job_documents(submission["job_id"], state="failed")
    assert [one["error"] and one["error"]["code"] for one in failures] == ["empty_document"]
    with pytest.raises(ProblemError, match="already ended") as refused:
        stocked.cancel_job(submission["job_id"])
    assert (refused.value.status, refused.value.code) == (409, "job_ended")


def test_waiting_ends_at_the_deadline() -> None:
    """The job goes on; the caller is told."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json={"state": "running"}))
    with Client(transport=transport) as client, pytest.raises(DeadlineExceeded, match="job j has not ended"):
        client.wait_for_job("j", timeout_s=0.01, poll_s=0.01)


def test_search_filters_and_ranks(stocked: Client) -> None:
    """Hits carry their scores; the filter is passed on."""
    hits = stocked.search("ferry Aurora", mode="lexical", top_k=1)["hits"]
    assert [(one["rank"], one["document_id"]) for one in hits] == [(1, "ships.txt")]
    assert hits[0]["text"] == SHIPS[hits[0]["char_start"] : hits[0]["char_end"]]
    assert stocked.search("ferry", filter={"metadata.year": 2024})["hits"] == []


def test_ask_and_ask_stream_give_the_same_answer(stocked: Client) -> None:
    """The stream ends with the same object; the trace can be read afterwards."""
    answer = stocked.ask(QUESTION, top_k=3)
    events = list(stocked.ask_stream(QUESTION, top_k=3))
    assert events[0].name == "retrieval"
    assert events[-1].name == "done"
    for field in ("status", "answer", "citations"):
        assert events[-1].data[field] == answer[field]  # type: ignore[literal-required] # names from the tuple above
    assert stocked.answer(answer["answer_id"])["answer_id"] == answer["answer_id"]


def test_deleting_gives_a_receipt(stocked: Client) -> None:
    """Afterwards the document is not found."""
    receipt = stocked.delete_document("people/harbour 港.txt")
    assert stocked.wait_for_receipt(receipt["receipt_id"], timeout_s=30)["removed"]["versions"] == 1
    stocked.delete_documents(["ships.txt"])
    assert list(stocked.documents()) == []


def test_problems_are_raised_with_all_their_fields(citewell: Client) -> None:
    """Code, status, request id and every wrong field."""
    with pytest.raises(ProblemError) as wrong:
        citewell.search("", top_k=0)
    assert (wrong.value.status, wrong.value.retryable) == (422, False)
    assert {problem.field.split(".")[-1] for problem in wrong.value.problems} == {"query", "top_k"}
    assert wrong.value.request_id
    with pytest.raises(ProblemError) as missing:
        citewell.document_text("nothing")
    assert missing.value.code == "document_not_found"


def test_an_error_in_a_stream_is_raised() -> None:
    """The `error` event carries the same problem object."""
    problem = {"status": 504, "code": "deadline_exceeded", "detail": "too late", "retryable": True, "errors": None}
    body = f": still here\n\nevent: error\ndata: {json.dumps(problem)}\n\n"
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, text=body))
    with Client(transport=transport) as client, pytest.raises(ProblemError, match="too late") as late:
        list(client.ask_stream("?"))
    assert (late.value.status, late.value.retryable) == (504, True)


def test_an_answer_without_a_problem_body_is_told_by_its_status() -> None:
    """As a proxy in between sends it."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(502, text="<html>Bad gateway"))
    with Client("http://proxy.example", transport=transport) as client, pytest.raises(ProblemError) as bad:
        client.ask("?")
    assert (bad.value.status, bad.value.code) == (502, "http_502")
    assert "502" in bad.value.message


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """The message names the address."""
    with Client("http://127.0.0.1:9") as client, pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as missing:
        client.ask("?")
    assert missing.value.code == "unreachable"


def test_a_server_that_is_too_slow_is_a_deadline_exceeded() -> None:
    """Not an httpx2 error."""

    def sleep(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow", request=request)

    with Client(transport=httpx2.MockTransport(sleep)) as client, pytest.raises(DeadlineExceeded):
        client.ask("?")


def test_the_key_is_sent_with_every_call(service: Service, url: str) -> None:
    """Without it the call is refused once there are keys."""
    from api.keys import Keys

    _, secret = Keys(service.catalogue).create("reader", scopes=["read"])
    with Client(url) as client, pytest.raises(ProblemError) as refused:
        list(client.collections())
    assert refused.value.status == 401
    with Client(url, key=secret) as client:
        assert [one["name"] for one in client.collections()] == ["default"]


def test_events_are_read_as_the_standard_says() -> None:
    """Several data lines are joined, comments and empty events passed over, the space after the colon is optional."""
    lines = [": hi", "", "event: a", 'data: {"x":', "data: 1}", "", "event:b", 'data:{"y": 2}', "", "event: c", ""]
    assert list(read_events(lines)) == [StreamEvent("a", {"x": 1}), StreamEvent("b", {"y": 2})]


def test_a_problem_keeps_its_field_errors() -> None:
    """Each as field and message."""
    problem = ProblemError({"detail": "bad", "errors": [{"field": "a.b", "message": "is wrong"}]}, status=422)
    assert problem.problems == (FieldProblem("a.b", "is wrong"),)
