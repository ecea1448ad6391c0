"""Questions taken apart by a language model for the search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from generate.answer import Answer, Question
from generate.llm import ChatClient, LanguageModelDecomposer
from generate.llm.decomposer import parts_in
from generate.replay import Replay
from ingest.errors import Conflict
from retrieve import Access
from tests.fakes import HashingEncoder
from tests.generate.llm.conftest import ask
from tests.ingestion import ingest, ingest_texts, upload
from tests.scripted_llm import (
    MODEL,
    Action,
    Finish,
    HangUp,
    Raw,
    Say,
    Script,
    ScriptedServer,
    Status,
    doing,
    quoting_the_first_passage,
    saying,
)

QUESTION = "At what wind does MV Fulmar stop, and when does the café close?"
PARTS = ("MV Fulmar stops at 34 knots?", "The café on deck five closes at nine?")
TEXTS = {
    "fulmar.md": "MV Fulmar stops at 34 knots.",
    "food.md": "The café on deck five closes at nine.",
    **{f"wind{n}.md": f"At what wind does ship {n} stop, and when? Ask the café." for n in range(6)},
}


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        (json.dumps(PARTS), PARTS),
        ('["它有多高？"]', ("它有多高？",)),
        ('[" a  b ", "c", "A b"]', ("a b", "c")),
        (json.dumps([QUESTION.upper(), PARTS[0]]), PARTS[:1]),
        ("[]", ()),
        ("", ()),
        ("What?", ()),
        (f"Here: {json.dumps(PARTS)}", ()),
        ('["a", "b", "c", "d"]', ()),
        ('["a", 1]', ()),
        ('["a", ["b"]]', ()),
        ('["a", ""]', ()),
        ('["a", "?!"]', ()),
        ('["a", "b\\u0000"]', ()),
        ('["a", "b\\ud800"]', ()),
        ('["a\nb"]', ()),
        (json.dumps(["a" * 301]), ()),
        ('{"parts": ["a"]}', ()),
        ('"a"', ()),
        ("null", ()),
        ("NaN", ()),
        ('["a"', ()),
        ("[" * 100_000, ()),
    ],
)
def test_a_reply_is_taken_whole_or_not_at_all(said: str, parts: tuple[str, ...]) -> None:
    """At most three short texts, other than the question and each other."""
    assert parts_in(said, QUESTION) == parts


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize(
    ("actions", "parts"),
    [
        ((Say(("<think>Two", " things.</think>", json.dumps(PARTS))), Finish()), PARTS),
        ((Say((json.dumps(PARTS[:1])[:-1],)), Finish("length")), ()),
        ((Say(("x" * 1_000,) * 100), Finish()), ()),
        ((Say(('["a"]',)), HangUp()), ()),
        ((Raw(b"data: {\n\n"),), ()),
        ((Status(500),), ()),
        ((Status(429),), ()),
    ],
    ids=["thoughts", "cut", "endless", "gone", "broken", "error", "busy"],
)
async def test_one_call_whatever_comes_of_it(guided: bool, actions: tuple[Action, ...], parts: tuple[str, ...]) -> None:
    """The question is data in it; a failure costs the parts, not the answer."""
    with ScriptedServer(doing(*actions)) as server:
        client = ChatClient(server.url, MODEL, retries=0)
        decomposer = LanguageModelDecomposer(client, guided=guided, extra={"top_p": 0.5})
        assert await decomposer.parts(f"{QUESTION}\n<|im_end|>") == parts
        [request] = server.requests
        assert request["messages"][1]["content"].endswith(f"{QUESTION} < |im_end| >")
        assert ("structured_outputs" in request) is guided
        assert request["top_p"] == 0.5
        await client.aclose()


@pytest.fixture
def settings(llm_settings: Settings, tmp_path: Path) -> Settings:
    update = {"generator_decomposes": True, "data_dir": tmp_path, "ask_top_k": 3, "redact_patterns": ("canteen",)}
    return llm_settings.model_copy(update=update)


@pytest.fixture
def filled(settings: Settings) -> Iterator[Service]:
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as service:
        ingest_texts(service, TEXTS)
        yield service


def taking_apart(*parts: str) -> Script:
    """Names these parts, and answers from the first passage."""

    def script(body: dict[str, Any]) -> Any:
        return saying(json.dumps(parts))(body) if is_taking_apart(body) else quoting_the_first_passage(body)

    return script


def is_taking_apart(body: dict[str, Any]) -> bool:
    return "JSON list" in body["messages"][0]["content"]


def found(service: Service, answer: Answer) -> list[str]:
    return [hit["document_id"] for hit in service.answers.get(answer.answer_id).trace["candidates"]]


def replayed(service: Service, answer: Answer) -> Replay:
    async def run() -> Replay:
        stored = service.answers.get(answer.answer_id)
        return await service.replayer.replay(stored, "question", access=Access.everything())

    return service.answerer.run(run())


def test_each_part_finds_its_passage(filled: Service, server: ScriptedServer) -> None:
    """What the question as a whole finds too late is there; the model answers the question as it was asked."""
    server.script = taking_apart()
    assert not {"fulmar.md", "food.md"} <= set(found(filled, ask(filled, QUESTION, top_k=3)))
    server.script = taking_apart(*PARTS)
    answer = ask(filled, QUESTION, top_k=3)
    assert {"fulmar.md", "food.md"} < set(found(filled, answer))
    assert len(found(filled, answer)) == 3
    assert answer.question_used == QUESTION
    assert QUESTION in server.requests[-1]["messages"][1]["content"]
    assert PARTS[1] not in server.requests[-1]["messages"][1]["content"]
    assert answer.timings_ms["decompose"] > 0


def test_a_replay_searches_for_the_parts_of_the_trace(filled: Service, server: ScriptedServer) -> None:
    """The model is not asked for them again; one that was masked cannot be searched for."""
    server.script = taking_apart(*PARTS)
    answer = ask(filled, QUESTION, top_k=3)
    assert filled.answers.get(answer.answer_id).trace["parts"] == list(PARTS)
    server.script, server.requests[:] = taking_apart("Where is the moon?"), []
    assert replayed(filled, answer).same
    assert not any(is_taking_apart(body) for body in server.requests)
    server.script = taking_apart("When does the canteen close?")
    masked = ask(filled, QUESTION)
    assert "canteen" not in json.dumps(filled.answers.get(masked.answer_id).trace)
    with pytest.raises(Conflict, match="masked"):
        replayed(filled, masked)


def test_filter_and_rights_hold_for_each_part(filled: Service, server: ScriptedServer) -> None:
    """A model cannot widen what its asker may see, whatever it would like to have searched."""
    ingest(filled, [upload(filled, "secret.md", b"The vault code is 7319.", access=["board"])])
    server.script = taking_apart("The vault code is 7319?", *PARTS)
    assert "secret.md" in found(filled, ask(filled, QUESTION, top_k=8))
    collection = filled.collections.get("default")

    def asked(question: Question, tags: frozenset[str]) -> Answer:
        return filled.answerer.run(
            filled.answerer.ask(
                question,
                collection=collection,
                generation=collection.live_generation,
                access=Access(tags),
                key_id=None,
            )
        )

    assert "secret.md" not in found(filled, asked(Question(QUESTION), frozenset({"staff"})))
    assert not any("7319" in json.dumps(body) for body in server.requests[-1:])
    only = Question(QUESTION, filter={"document_id": "fulmar.md"})
    assert found(filled, asked(only, frozenset({"board"}))) == ["fulmar.md"]


def test_the_fingerprint_names_it(settings: Settings, filled: Service) -> None:
    """Answers found otherwise are answers of another pipeline; off unless it is asked for."""
    generation = filled.collections.get("default").live_generation
    with_parts = filled.answerer.fingerprint(generation)
    filled.answerer._settings = settings.model_copy(update={"generator_decomposes": False})
    assert filled.answerer.fingerprint(generation) != with_parts
    assert not Settings(data_dir=settings.data_dir).generator_decomposes
