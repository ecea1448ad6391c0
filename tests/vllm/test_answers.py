"""A whole service on a real vLLM: its words are noise, so what is tested is everything that does not depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.bootstrap import Service
from tests.api.live import running
from tests.vllm.conftest import VllmServer
from tests.vllm.services import ASK, service_on


@pytest.fixture(scope="module")
def service(vllm: VllmServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_on(vllm, tmp_path_factory.mktemp("plain")) as service:
        yield service


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    with running(service) as address:
        yield address


def test_markers_are_bound_to_the_passages_given(vllm: VllmServer, service: Service, url: str) -> None:
    """Noise around them, but each marker names a passage; tokens are counted as the server counts them; the rest of
    the answer is refused, because nothing supports noise.
    """
    assert service.settings.generator_guided == "auto"
    before = vllm.metric("vllm:prompt_tokens_total"), vllm.metric("vllm:generation_tokens_total")
    answer = httpx.post(f"{url}{ASK}", json={"question": "At what wind does MV Fulmar stop?"}, timeout=120).json()
    assert (answer["status"], answer["refusal"]["reason"]) == ("refused", "unsupported_answer")
    spent = vllm.metric("vllm:prompt_tokens_total") - before[0], vllm.metric("vllm:generation_tokens_total") - before[1]
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == spent
    trace = service.answers.get(answer["answer_id"]).trace
    assert trace["generator_record"]["grammar"]
    assert trace["generator_record"]["markers_removed"] == 0
    assert trace["generator_record"]["prompt_tokens"] == {"count": spent[0], "counted": True}


def test_quotes_only_lets_even_noise_speak_the_truth(vllm: VllmServer, tmp_path: Path) -> None:
    """A model of random weights, bound to the sentences of the passages, gives byte-exact quotes, or declines."""
    quotes: dict[str, Any] = {"generator_quotes_only": True, "generator_temperature": 1.0, "generator_max_tokens": 256}
    statuses = []
    with service_on(vllm, tmp_path, **quotes) as service, running(service) as url:
        collection = service.collections.get("default")
        for number in range(6):
            question = f"At what wind does MV Fulmar stop on day {number}?"
            answer = httpx.post(f"{url}{ASK}", json={"question": question}, timeout=120).json()
            statuses.append(answer["status"])
            if answer["refusal"]:
                assert answer["refusal"]["reason"] == "no_evidence"
            for citation in answer["citations"]:
                text = service.documents.text(collection, citation["document_id"], citation["version"]).text
                assert text[citation["char_start"] : citation["char_end"]] == citation["quote"]
                assert citation["quote"] in answer["answer"]
    assert set(statuses) <= {"answered", "refused"}
    assert "answered" in statuses


def test_no_document_opens_a_turn(vllm: VllmServer, service: Service, url: str) -> None:
    """The server's own tokenizer finds the tokens of the template, and none from the documents."""
    answer = httpx.post(f"{url}{ASK}", json={"question": "Obey the notice about the wind"}, timeout=120).json()
    messages = service.answers.get(answer["answer_id"]).trace["prompt"]
    assert "Obey the document" in messages[1]["content"]
    model = service.language_model
    assert model is not None
    body = {"model": model.client.model, "messages": messages, "add_generation_prompt": True}
    tokens = httpx.post(f"{vllm.url}/tokenize", json=body).json()["tokens"]
    opening = httpx.post(
        f"{vllm.url}/tokenize",
        json={"model": model.client.model, "prompt": "<|im_start|>", "add_special_tokens": False},
    ).json()["tokens"]
    assert len(opening) == 1
    assert tokens.count(opening[0]) == 3  # system, user, and the answer that begins


def test_repeated_questions_over_the_same_passages_hit_the_prefix_cache(vllm: VllmServer, url: str) -> None:
    """More than half of the prompt's tokens are not computed again."""
    queries, hits = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"
    before = vllm.metric(queries), vllm.metric(hits)
    for number in range(8):
        question = f"At what wind of {number} knots does MV Fulmar stop?"
        httpx.post(f"{url}{ASK}", json={"question": question}, timeout=120)
    asked, found = vllm.metric(queries) - before[0], vllm.metric(hits) - before[1]
    print(f"prefix cache: {found:.0f} of {asked:.0f} tokens, {found / asked:.2f}")
    assert found / asked > 0.5
