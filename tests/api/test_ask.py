"""Search, questions, answers and feedback over HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.bootstrap import Service
from api.settings import Settings
from generate.answer import AnswerEvent
from ingest.errors import Unavailable
from ingest.jobs import Jobs
from tests.api.live import SHIPS, events, problem

ASK = "/v1/collections/default/ask"
SEARCH = "/v1/collections/default/search"
QUESTION = "When does the ferry Aurora sail from Norrhamn?"


@pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
def test_search_gives_ranked_passages(filled: httpx.Client, mode: str) -> None:
    """Ranks count from 1, scores fall, and each text stands at its offsets."""
    found = filled.post(SEARCH, json={"query": "ferry Aurora", "mode": mode, "top_k": 2}).json()
    assert [hit["rank"] for hit in found["hits"]] == list(range(1, len(found["hits"]) + 1))
    best = found["hits"][0]
    assert best["document_id"] == "ships.txt"
    assert best["text"] == SHIPS[best["char_start"] : best["char_end"]]
    assert set(best["scores"]) == {"vector", "lexical", "fused", "rerank", "credibility"}
    assert found["index_generation"]
    assert found["reranker"] is None
    assert "restrict" in found["timings_ms"]


def test_a_filter_narrows_the_search(filled: httpx.Client) -> None:
    """Only matching documents are scored."""
    body = {"query": "ferry Aurora", "filter": {"document_id": {"$ne": "ships.txt"}}}
    hits = filled.post(SEARCH, json=body).json()["hits"]
    assert {hit["document_id"] for hit in hits} <= {"people/harbour.md"}


@pytest.mark.parametrize(("path", "field"), [(ASK, "question"), (SEARCH, "query")])
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "invalid_request", "write what you want to know"),
        (" \n\t", "invalid_request", "write what you want to know"),
        ("x" * 100_000, "question_too_long", "shorten it"),
        ("a\x00b", "invalid_request", "NUL"),
    ],
)
def test_bad_questions_say_what_to_do(
    client: httpx.Client, path: str, field: str, text: str, code: str, said: str
) -> None:
    """Empty, blank, endless or unprintable."""
    assert said in problem(client.post(path, json={field: text}), 422, code)["detail"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"question": "\\ud800"}', "surrogate"),
        (b'{"question": "a", "filter": ' + b"[" * 200_000, "nested"),
        (b'{"question": "a", "max_risk": NaN}', "NaN"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[]", "JSON object"),
        (b"", "required"),
    ],
)
def test_malformed_json_is_422(client: httpx.Client, content: bytes, said: str) -> None:
    """Never a 500, and never silently mended."""
    response = client.post(ASK, content=content, headers={"Content-Type": "application/json"})
    assert said in problem(response, 422, "invalid_request")["detail"]


@pytest.mark.parametrize("path", [ASK, SEARCH])
def test_an_unknown_filter_field_is_named(client: httpx.Client, path: str) -> None:
    """With the fields that there are."""
    field = "question" if path == ASK else "query"
    body = problem(client.post(path, json={field: "a", "filter": {"colour": "red"}}), 422, "invalid_filter")
    assert "metadata.*" in body["detail"]
    assert body["errors"][0]["field"] == "filter.colour"


@pytest.mark.parametrize(
    "body", [{"top_k": 0}, {"top_k": 1001}, {"top_k": "many"}, {"mode": "psychic"}, {"filter": []}, {"colour": 1}]
)
def test_bad_search_options_are_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    """Out of bounds, of the wrong type, or unknown."""
    fields = problem(client.post(SEARCH, json={"query": "a", **body}), 422, "invalid_request")["errors"]
    assert [field["field"] for field in fields] == list(body)


def test_an_unknown_collection_is_404(client: httpx.Client) -> None:
    """The detail says how to make one."""
    for verb, field in (("search", "query"), ("ask", "question")):
        response = client.post(f"/v1/collections/nix/{verb}", json={field: "a"})
        assert "PUT /v1/collections" in problem(response, 404, "collection_not_found")["detail"]


def test_an_answer_cites_its_evidence_exactly(filled: httpx.Client) -> None:
    """Quotes are found at their offsets, and in the answer's own text at theirs."""
    answer = filled.post(ASK, json={"question": QUESTION, "conversation_id": "c1"}).json()
    assert answer["status"] == "answered", answer
    assert "07:30" in answer["answer"]
    assert answer["conversation_id"] == "c1"
    for citation in answer["citations"]:
        text = filled.get(f"/v1/collections/default/documents/{citation['document_id']}/text").text
        assert text[citation["char_start"] : citation["char_end"]] == citation["quote"]
        assert 0 <= citation["answer_start"] < citation["answer_end"] <= len(answer["answer"])
    assert answer["risk"] is None


def test_a_refusal_is_a_200_with_its_reason(client: httpx.Client) -> None:
    """An empty collection holds no evidence."""
    answer = client.post(ASK, json={"question": QUESTION}).json()
    assert (answer["status"], answer["answer"], answer["citations"]) == ("refused", None, [])
    assert answer["refusal"]["reason"] == "no_evidence"


def test_the_stream_ends_with_the_same_answer(filled: httpx.Client) -> None:
    """Events in order; the answer is that of the request without stream."""
    whole = filled.post(ASK, json={"question": QUESTION}).json()
    response = filled.post(ASK, json={"question": QUESTION, "stream": True, "draft": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events(response.content)
    names = [name for name, _ in told]
    assert names[0] == "retrieval"
    assert names[-1] == "done"
    assert names.count("sentence") == len({one["answer_start"] for one in whole["citations"]})
    volatile = {"answer_id", "timings_ms", "created_at"}
    done = told[-1][1]
    assert {k: v for k, v in done.items() if k not in volatile} == {k: v for k, v in whole.items() if k not in volatile}
    sentence = next(data for name, data in told if name == "sentence")
    assert done["answer"][sentence["start"] :].startswith(sentence["text"])


def test_what_is_wrong_with_a_streamed_question_is_an_ordinary_error(client: httpx.Client) -> None:
    """Before the first event there is still a status to give."""
    body = {"question": "a", "stream": True, "filter": {"colour": 1}}
    problem(client.post(ASK, json=body), 422, "invalid_filter")


def test_an_error_on_the_way_is_the_last_event(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event `error` holds the problem."""
    stream = service.answerer.stream

    async def breaking(*args: Any, **kwargs: Any) -> AsyncIterator[AnswerEvent]:
        async for event in stream(*args, **kwargs):
            yield event
            raise Unavailable("the generator went away; try again in a moment")

    monkeypatch.setattr(type(service.answerer), "stream", lambda _, *args, **kwargs: breaking(*args, **kwargs))
    told = events(client.post(ASK, json={"question": "a", "stream": True}).content)
    assert [name for name, _ in told] == ["retrieval", "error"]
    assert (told[-1][1]["status"], told[-1][1]["code"], told[-1][1]["retryable"]) == (503, "unavailable", True)


def test_leaving_a_stream_cancels_it(client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator is stopped, and its place is free again."""
    stream, ended = service.answerer.stream, threading.Event()

    async def slow(*args: Any, **kwargs: Any) -> AsyncIterator[AnswerEvent]:
        try:
            async for event in stream(*args, **kwargs):
                yield event
                await asyncio.sleep(60)
        finally:
            ended.set()

    monkeypatch.setattr(type(service.answerer), "stream", lambda _, *args, **kwargs: slow(*args, **kwargs))
    with client.stream("POST", ASK, json={"question": "a", "stream": True}) as response:
        assert next(response.iter_lines()) == "event: retrieval"
    assert ended.wait(10)


def test_leaving_a_whole_answer_cancels_it_too(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it any more."""
    stream, begun, ended = service.answerer.stream, threading.Event(), threading.Event()

    async def slow(*args: Any, **kwargs: Any) -> AsyncIterator[AnswerEvent]:
        try:
            async for event in stream(*args, **kwargs):
                yield event
                begun.set()
                await asyncio.sleep(60)
        finally:
            ended.set()

    monkeypatch.setattr(type(service.answerer), "stream", lambda _, *args, **kwargs: slow(*args, **kwargs))
    with pytest.raises(httpx.ReadTimeout):
        client.post(ASK, json={"question": "a"}, timeout=1)
    assert begun.is_set()
    assert ended.wait(10)


class TestHeartbeats:
    """With a comment every fiftieth of a second."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"stream_heartbeat_s": 0.02})

    def test_a_stream_without_events_stays_alive(
        self, client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Comments come between the events, and the events as ever."""
        stream = service.answerer.stream

        async def slow(*args: Any, **kwargs: Any) -> AsyncIterator[AnswerEvent]:
            async for event in stream(*args, **kwargs):
                yield event
                await asyncio.sleep(0.2)

        monkeypatch.setattr(type(service.answerer), "stream", lambda _, *args, **kwargs: slow(*args, **kwargs))
        body = client.post(ASK, json={"question": "a", "stream": True}).content
        assert body.count(b": still here") >= 2
        assert [name for name, _ in events(body)] == ["retrieval", "done"]


def test_templates_and_certificates_must_exist(client: httpx.Client) -> None:
    """An unknown template is 422; a bound without certificate is 409."""
    problem(client.post(ASK, json={"question": "a", "template": "nix"}), 422, "unknown_template")
    problem(client.post(ASK, json={"question": "a", "max_risk": 0.05}), 409, "no_certificate")
    client.put("/v1/collections/default", json={"templates": {"short": "Be brief."}})
    assert client.post(ASK, json={"question": "a", "template": "short"}).status_code == 200


def test_an_answer_is_kept_with_its_trace(filled: httpx.Client) -> None:
    """The same answer, and the candidates with the score of every stage."""
    answer = filled.post(ASK, json={"question": QUESTION}).json()
    kept = filled.get(f"/v1/answers/{answer['answer_id']}").json()
    trace = kept.pop("trace")
    assert (kept.pop("documents_pending"), answer.pop("documents_pending")) == (None, 0)
    assert kept == answer
    assert trace["candidates"][0]["scores"]["fused"]
    problem(filled.get("/v1/answers/nix"), 404, "answer_not_found")


def test_an_answer_goes_with_its_evidence(filled: httpx.Client) -> None:
    """After the document's deletion is complete, the answer is 410."""
    answer = filled.post(ASK, json={"question": QUESTION}).json()
    receipt = filled.delete("/v1/collections/default/documents/ships.txt").json()
    while receipt["state"] != "purged":
        receipt = filled.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert receipt["removed"]["answers_redacted"] == 1
    problem(filled.get(f"/v1/answers/{answer['answer_id']}"), 410, "evidence_deleted")


def test_feedback_counts_for_what_was_cited(filled: httpx.Client) -> None:
    """201; the cited document's credibility now knows of it."""
    answer = filled.post(ASK, json={"question": QUESTION}).json()
    path = f"/v1/answers/{answer['answer_id']}/feedback"
    assert filled.post(path, json={"verdict": "correct", "comment": "yes"}).status_code == 201
    record = filled.get("/v1/collections/default/documents/ships.txt").json()
    assert record["credibility"]["feedback"] == pytest.approx(2 / 3)
    problem(filled.post(path, json={"verdict": "maybe"}), 422, "invalid_request")
    problem(filled.post("/v1/answers/nix/feedback", json={"verdict": "correct"}), 404, "answer_not_found")


def test_an_empty_question_is_told_in_our_own_words(client: httpx.Client) -> None:
    """Without the words that a library puts before them."""
    errors = problem(client.post(ASK, json={"question": " "}), 422, "invalid_request")["errors"]
    assert [error["message"] for error in errors] == ["it is empty; write what you want to know in words"]


class TestFull:
    """With one place for searches and questions."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"concurrent_requests_max": 1})

    def test_one_more_request_is_429(
        self, client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There is no queue; the place is free again afterwards."""
        entered, leave, find = threading.Event(), threading.Event(), service.searcher.search

        def slow(*args: Any, **kwargs: Any) -> Any:
            entered.set()
            leave.wait(10)
            return find(*args, **kwargs)

        monkeypatch.setattr(type(service.searcher), "search", lambda _, *args, **kwargs: slow(*args, **kwargs))
        first = threading.Thread(target=client.post, args=(SEARCH,), kwargs={"json": {"query": "a"}})
        first.start()
        assert entered.wait(10)
        response = client.post(ASK, json={"question": "a"})
        problem(response, 429, "overloaded")
        assert response.headers["retry-after"] == "1"
        leave.set()
        first.join()
        deadline = time.monotonic() + 10
        while client.post(SEARCH, json={"query": "a"}).status_code != 200:
            assert time.monotonic() < deadline


def test_a_follow_up_is_asked_in_full(filled: httpx.Client) -> None:
    """The stored question lends its entity; the turns can be read, and deleted with their answers."""
    first = filled.post(ASK, json={"question": QUESTION, "conversation_id": "c1"}).json()
    second = filled.post(ASK, json={"question": "How long does it sail?", "conversation_id": "c1"}).json()
    assert (second["question"], second["question_used"]) == ("How long does it sail?", "How long does Aurora sail?")
    alone = filled.post(ASK, json={"question": "How long does Aurora sail?"}).json()
    assert (second["status"], second["answer"]) == (alone["status"], alone["answer"])
    turns = filled.get("/v1/conversations/c1").json()["turns"]
    assert [turn["answer_id"] for turn in turns] == [first["answer_id"], second["answer_id"]]
    assert [turn["answer"] for turn in turns] == [first["answer"], second["answer"]]
    assert filled.delete("/v1/conversations/c1").status_code == 204
    problem(filled.get("/v1/conversations/c1"), 404, "conversation_not_found")
    problem(filled.delete("/v1/conversations/c1"), 404, "conversation_not_found")
    problem(filled.get(f"/v1/answers/{first['answer_id']}"), 404, "answer_not_found")


def test_an_answer_can_be_replayed(filled: httpx.Client) -> None:
    """From each stage the same; gone after a deletion."""
    answer = filled.post(ASK, json={"question": QUESTION}).json()
    path = f"/v1/answers/{answer['answer_id']}/replay"
    for start in ("question", "candidates", "generation"):
        again = filled.post(path, json={"from": start}).json()
        assert again["same"], again["differences"]
        assert again["answer"]["answer"] == answer["answer"]
    problem(filled.post(path, json={"from": "scratch"}), 422, "invalid_request")
    filled.delete("/v1/collections/default/documents/ships.txt")
    problem(filled.post(path, json={"from": "question"}), 410, "evidence_deleted")


def test_a_deletion_counts_the_turns_it_empties(filled: httpx.Client) -> None:
    """The turn stays, without its words."""
    filled.post(ASK, json={"question": QUESTION, "conversation_id": "c1"})
    receipt = filled.delete("/v1/collections/default/documents/ships.txt").json()
    while receipt["state"] != "purged":
        receipt = filled.get(f"/v1/receipts/{receipt['receipt_id']}").json()
    assert (receipt["removed"]["answers_redacted"], receipt["removed"]["conversation_turns"]) == (1, 1)
    [turn] = filled.get("/v1/conversations/c1").json()["turns"]
    assert (turn["question"], turn["answer"]) == (None, None)


@pytest.mark.parametrize("question", [QUESTION, "qwertz uiop"])
def test_documents_still_coming_in_are_told(
    filled: httpx.Client, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """An answer or refusal says how many it cannot know of; shown again later it says nothing about then."""
    assert filled.post(ASK, json={"question": question}).json()["documents_pending"] == 0
    monkeypatch.setattr(Jobs, "documents_pending", lambda self, collection_pk: 7)
    answer = filled.post(ASK, json={"question": question}).json()
    assert answer["documents_pending"] == 7
    streamed = filled.post(ASK, json={"question": question, "stream": True})
    assert events(streamed.content)[-1][1]["documents_pending"] == 7
    assert filled.get(f"/v1/answers/{answer['answer_id']}").json()["documents_pending"] is None
