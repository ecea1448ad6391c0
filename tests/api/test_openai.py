"""The OpenAI interface, used with the official client as it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from openai import (
    APIError,
    AuthenticationError,
    NotFoundError,
    OpenAI,
    PermissionDeniedError,
    UnprocessableEntityError,
)
from typer.testing import CliRunner

from api.bootstrap import Service, open_service
from api.cli import application
from api.keys import Keys
from api.settings import Settings
from generate.answer import AnswerEvent
from ingest.errors import Unavailable
from tests.api.live import SHIPS, events
from tests.fakes import HashingEncoder, OverlapReader
from tests.scripted_llm import Say, Script, ScriptedServer, in_turn, prompt_tokens, quoting_the_first_passage, saying

ASK = "/v1/collections/default/ask"
QUESTION = "When does the ferry Aurora sail from Norrhamn?"


@pytest.fixture
def service(settings: Settings, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service with the generator that a test names, on fake models."""
    own = settings.model_copy(update=getattr(request, "param", {}))
    if own.generator == "vllm":
        own = own.model_copy(update={"vllm_url": request.getfixturevalue("server").url})
    load = HashingEncoder
    with open_service(own, load=lambda name, revision: load(name, revision), read=lambda _: OverlapReader()) as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def openai(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def user(*texts: str) -> list[Any]:
    return [{"role": "user", "content": text} for text in texts]


def test_a_completion_is_a_cited_answer(filled: httpx.Client, openai: OpenAI) -> None:
    """Citations as annotations that lead to the quote, and the whole answer beside."""
    reply = openai.chat.completions.create(model="default", messages=user(QUESTION), temperature=0.7, max_tokens=5)
    [choice] = reply.choices
    message = choice.message
    assert (reply.object, reply.model, choice.finish_reason) == ("chat.completion", "default", "stop")
    assert message.content is not None
    assert "07:30" in message.content
    assert message.refusal is None
    assert message.annotations is not None
    citation = message.annotations[0].url_citation
    assert message.content[citation.start_index : citation.end_index] in SHIPS
    address, _, fragment = citation.url.partition("#char=")
    start, end = map(int, fragment.split(","))
    assert filled.get(address).text[start:end] == message.annotations[0].citewell["quote"]  # type: ignore[attr-defined]
    whole = reply.citewell  # type: ignore[attr-defined]
    assert whole["answer"] == message.content
    assert reply.id == f"chatcmpl-{whole['answer_id']}"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (0, 0, 0)


def test_a_stream_of_sentences_makes_the_same_answer(filled: httpx.Client, openai: OpenAI) -> None:
    """The last chunk with a choice holds the citations; usage comes where it is asked for."""
    whole = openai.chat.completions.create(model="default", messages=user(QUESTION))
    chunks = list(
        openai.chat.completions.create(
            model="default", messages=user(QUESTION), stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.annotations  # type: ignore[attr-defined]
    assert last.citewell["status"] == "answered"  # type: ignore[attr-defined]
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_told_in_words(filled: httpx.Client, openai: OpenAI, stream: bool) -> None:
    """In `content` for every client, in `refusal` for those that know it."""
    reply: Any = openai.chat.completions.create(model="default", messages=user("Zebra quux?"), stream=stream)
    if stream:
        chunks = list(reply)
        message = next(chunk.choices[0].delta for chunk in chunks if chunk.choices[0].delta.refusal)
        status = chunks[-1].citewell["status"]
    else:
        message, status = reply.choices[0].message, reply.citewell["status"]
    assert status == "refused"
    assert message.content == message.refusal


def test_the_turns_before_lend_their_words(filled: httpx.Client, openai: OpenAI) -> None:
    """Over several turns as they were asked; answers and system messages lend nothing."""
    messages = [
        {"role": "system", "content": "Answer in rhymes."},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": "At 07:30. The Eiffel Tower is tall."},
        {"role": "user", "content": [{"type": "text", "text": "How long does it sail?"}]},
        {"role": "assistant", "content": "45 minutes."},
        {"role": "user", "content": "And where does it sail?"},
    ]
    reply = openai.chat.completions.create(model="default", messages=messages)  # type: ignore[arg-type]
    assert "Aurora" in reply.citewell["question_used"]  # type: ignore[attr-defined]
    assert reply.citewell["question"] == "And where does it sail?"  # type: ignore[attr-defined]


def test_options_of_ask_are_taken(filled: httpx.Client, openai: OpenAI) -> None:
    """A filter, for example; an unknown one is refused."""
    body = {"citewell": {"filter": {"document_id": "people/harbour.md"}}}
    reply = openai.chat.completions.create(model="default", messages=user(QUESTION), extra_body=body)
    assert {hit["document_id"] for hit in reply.citewell["refusal"]["nearest"]} == {"people/harbour.md"}  # type: ignore[attr-defined]
    with pytest.raises(UnprocessableEntityError):
        openai.chat.completions.create(model="default", messages=user("a"), extra_body={"citewell": {"colour": 1}})


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([], {}),
        (user(" "), {}),
        ([*user("a"), {"role": "assistant", "content": "b"}], {}),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}], {}),
        (user("x" * 100_000), {}),
        (user("a"), {"n": 2}),
    ],
)
def test_what_cannot_be_answered_is_422(openai: OpenAI, messages: list[Any], options: dict[str, Any]) -> None:
    """With the field that is wrong."""
    with pytest.raises(UnprocessableEntityError) as caught:
        openai.chat.completions.create(model="default", messages=messages, **options)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["detail"]


def test_models_are_the_collections_of_the_key(url: str, client: httpx.Client, service: Service) -> None:
    """A key for one collection sees and uses no other, and none works without the scope to read."""
    client.put("/v1/collections/mine", json={})
    keys = Keys(service.catalogue)
    own = OpenAI(base_url=f"{url}/v1", api_key=keys.create("own", scopes=("read",), collections=["mine"])[1])
    assert [model.id for model in own.models.list()] == ["mine"]
    assert own.models.retrieve("mine").owned_by == "citewell"
    for name in ("default", "nix"):
        with pytest.raises(PermissionDeniedError):
            own.models.retrieve(name)
        with pytest.raises(PermissionDeniedError):
            own.chat.completions.create(model=name, messages=user("a"))
    every = OpenAI(base_url=f"{url}/v1", api_key=keys.create("every", scopes=("read",))[1])
    with pytest.raises(NotFoundError):
        every.chat.completions.create(model="nix", messages=user("a"))
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=f"{url}/v1", api_key="cw_wrong").models.list()


def test_an_error_on_the_way_reaches_the_client(
    openai: OpenAI, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the stream, as this client expects it."""
    stream = service.answerer.stream

    async def breaking(*args: Any, **kwargs: Any) -> AsyncIterator[AnswerEvent]:
        async for event in stream(*args, **kwargs):
            yield event
            raise Unavailable("the language model went away; try again in a moment", code="generator_interrupted")

    monkeypatch.setattr(type(service.answerer), "stream", lambda _, *args, **kwargs: breaking(*args, **kwargs))
    with pytest.raises(APIError, match="went away") as caught:
        list(openai.chat.completions.create(model="default", messages=user("a"), stream=True))
    assert caught.value.code == "generator_interrupted"


LANGUAGE_MODEL = {"generator": "vllm", "answer_threshold": 0.0}


@pytest.mark.parametrize("service", [LANGUAGE_MODEL], indirect=True)
@pytest.mark.parametrize("script", [quoting_the_first_passage, saying("NO ", "ANSWER")], ids=["answer", "refusal"])
@pytest.mark.parametrize("turns", [[QUESTION], ["Who is the harbour master?", QUESTION]], ids=["alone", "follow-up"])
def test_usage_is_what_the_language_model_server_counted(
    filled: httpx.Client, openai: OpenAI, server: ScriptedServer, script: Script, turns: list[str]
) -> None:
    """For the answer itself, streamed or not, also where its model declines; a stream tells it only if it is asked."""
    rewriting = [saying(QUESTION)] * (len(turns) - 1)
    told = []
    for options in ({}, {"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}):
        server.script = in_turn(*rewriting, script)
        reply: Any = openai.chat.completions.create(model="default", messages=user(*turns), **options)  # type: ignore[call-overload]
        told.append([one.usage for one in (reply if options else [reply]) if one.usage is not None])
    asked = server.requests[-1]
    prompt = prompt_tokens(asked["messages"])
    said = sum(len(action.pieces) for action in script(asked) if isinstance(action, Say))
    assert [[(one.prompt_tokens, one.completion_tokens, one.total_tokens) for one in usage] for usage in told] == [
        [(prompt, said, prompt + said)],
        [(prompt, said, prompt + said)],
        [],
    ]


EXTRACTIVE = {"generator": "extractive"}
READER = {"generator": "reader", "reranker_model": "embedded", "answer_threshold": 0.3}


@pytest.mark.parametrize("service", [EXTRACTIVE, READER], indirect=True, ids=["extractive", "reader"])
@pytest.mark.parametrize("question", [QUESTION, "Who is the harbour master?", "How deep is the sea?"])
def test_every_way_of_asking_gives_the_same_answer(
    service: Service, filled: httpx.Client, url: str, openai: OpenAI, question: str
) -> None:
    """Whole or streamed, in a conversation or alone, by HTTP, command line or OpenAI client."""
    service.credibility.settle()
    asked = {"question": question, "cache": False}
    talk = {"conversation_id": "c1"}
    filled.post(ASK, json={"question": "What is the crossing?", **talk})
    told = [
        filled.post(ASK, json=asked).json(),
        events(filled.post(ASK, json={**asked, "stream": True}).content)[-1][1],
        filled.post(ASK, json={**asked, **talk}).json(),
        events(filled.post(ASK, json={**asked, **talk, "stream": True, "draft": True}).content)[-1][1],
        json.loads(CliRunner().invoke(application(), ["ask", question, "--url", url, "--json"]).stdout),
    ]
    options: Any = {"model": "default", "extra_body": {"citewell": {"cache": False}}}
    told.append(openai.chat.completions.create(messages=user(question), **options).citewell)
    told.append(openai.chat.completions.create(messages=user("What is the crossing?", question), **options).citewell)
    told.append(list(openai.chat.completions.create(messages=user(question), stream=True, **options))[-1].citewell)
    told.append(filled.post(ASK, json={"question": question}).json())
    volatile = {"answer_id", "timings_ms", "created_at", "conversation_id"}
    answers = [{name: value for name, value in one.items() if name not in volatile} for one in told]
    assert answers == [answers[0]] * len(answers)
