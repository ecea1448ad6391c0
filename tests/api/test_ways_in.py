"""The same question gets the same answer by every way in, with the packaged models and the default settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from typer.testing import CliRunner

from api.bootstrap import Service, open_service
from api.cli import application
from api.settings import Settings
from tests.api.live import events, running, upload

ASK = "/v1/collections/default/ask"
BEFORE = "Which company made the battery modules that failed the insulation test?"
DOCUMENTS = Path(__file__).parents[2] / "data" / "documents"
FILES = (
    "operations/heavy-weather-procedure-2025.md",
    "policies/fares-and-concessions-2025.md",
    "zhoushan/newbuild-inspection-procedure-zh.md",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CITEWELL_GENERATOR", "CITEWELL_RERANKER_MODEL"):
            patch.delenv(name, raising=False)
        settings = Settings(data_dir=tmp_path_factory.mktemp("ways") / "data")
    with open_service(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    with running(service) as address:
        yield address


@pytest.fixture(scope="module")
def client(service: Service, url: str) -> Iterator[httpx.Client]:
    """Some of the sample documents are there, and their credibility is worked out."""
    with httpx.Client(base_url=url, timeout=300) as http:
        upload(http, {name: (DOCUMENTS / name).read_bytes() for name in FILES})
        service.credibility.settle()
        yield http


def asked(client: httpx.Client, question: str, **fields: object) -> Any:
    return client.post(ASK, json={"question": question, "cache": False, **fields}).raise_for_status().json()


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("At what mean wind is MV Fulmar stopped?", "answered"),
        ("At what wind is MV Skarva Dawn stopped?", "refused"),
        ("What does it cost to put the car on the Corrie Braig one way?", None),
    ],
)
def test_every_way_in_gives_the_same_answer(client: httpx.Client, url: str, question: str, status: str | None) -> None:
    """Whole and streamed, alone and after another question, over HTTP, by the command and by the OpenAI client: text,
    citations, scores and reasons are equal.
    """
    alone = asked(client, question)
    assert alone["generator"]["name"] == "reader"
    assert status in (None, alone["status"])
    told = events(client.post(ASK, json={"question": question, "stream": True, "cache": False}).content)
    sentences = [data["text"] for name, data in told if name == "sentence"]
    assert " ".join(sentences) == (alone["answer"] or "")

    asked(client, BEFORE, conversation_id=question)
    command = CliRunner().invoke(application(), ["ask", question, "--json", "--url", url])
    assert command.exit_code == 0, command.output
    with OpenAI(base_url=f"{url}/v1", api_key="none") as openai:
        options: Any = {
            "model": "default",
            "messages": [{"role": "user", "content": BEFORE}, {"role": "user", "content": question}],
            "extra_body": {"citewell": {"cache": False}},
        }
        whole: Any = openai.chat.completions.create(**options)
        chunks: list[Any] = list(openai.chat.completions.create(stream=True, **options))
    [last] = [chunk for chunk in chunks if getattr(chunk, "citewell", None)]
    ways = {
        "streamed": told[-1][1],
        "in a conversation": asked(client, question, conversation_id=question),
        "command": json.loads(command.stdout),
        "OpenAI client": whole.citewell,
        "OpenAI client, streamed": last.citewell,
    }
    assert {way: found for way, answer in ways.items() if (found := differences(alone, answer))} == {}
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert text == (alone["answer"] or alone["refusal"]["message"])


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of two answers that are not equal, but for an answer's own name and moment."""
    own = {"answer_id", "conversation_id", "created_at", "timings_ms"}
    return {
        name: (one.get(name), other.get(name))
        for name in {*one, *other} - own
        if name not in one or name not in other or one[name] != other[name]
    }
