"""The language model that the settings name: its client, its generator and its rewriter of follow-up questions."""

from __future__ import annotations

from dataclasses import dataclass

from api.settings import Settings
from generate.follow_ups import FollowUpRewriter
from generate.llm import (
    ChatClient,
    CircuitBreaker,
    Deadlines,
    LanguageModelDecomposer,
    LanguageModelGenerator,
    LanguageModelRewriter,
    Style,
)
from generate.llm.client import first_model
from generate.settings import LANGUAGE_MODELS
from ingest.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Everything that talks to one language model server; `rewriter` is None where a rule rewrites, `decomposer`
    where questions are searched for as they are.
    """

    client: ChatClient
    generator: LanguageModelGenerator
    rewriter: LanguageModelRewriter | None
    decomposer: LanguageModelDecomposer | None

    def ping(self) -> None:
        """Raises `Unavailable` unless the server serves the model."""
        self.client.ping()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.client.aclose()


def language_model(settings: Settings) -> LanguageModel | None:
    """None for generators without one.

    Raises `InvalidInput` (`openai_url_missing`), and `Unavailable` when the server has to be asked for its model and
    does not answer.
    """
    if settings.generator not in LANGUAGE_MODELS:
        return None
    vllm = settings.generator == "vllm"
    url = settings.vllm_url if vllm else settings.openai_url
    if url is None:
        raise InvalidInput(
            "the generator 'openai' needs the base URL of its server: set CITEWELL_OPENAI_URL",
            code="openai_url_missing",
        )
    key = settings.generator_api_key.get_secret_value() if settings.generator_api_key else None
    model = settings.generator_model or first_model(url, key, timeout_s=settings.generator_connect_timeout_s)
    client = ChatClient(
        url,
        model,
        key=key,
        deadlines=Deadlines(
            settings.generator_connect_timeout_s,
            settings.generator_first_token_timeout_s,
            settings.generator_token_timeout_s,
            settings.generator_timeout_s,
        ),
        retries=settings.generator_retries,
        connections_max=2 * settings.concurrent_requests_max,
        breaker=CircuitBreaker(
            failures_max=settings.generator_breaker_failures, open_s=settings.generator_breaker_open_s
        ),
    )
    style = Style(
        max_tokens=settings.generator_max_tokens,
        temperature=settings.generator_temperature,
        seed=settings.generator_seed,
        guided=settings.generator_guided == "on" or (settings.generator_guided == "auto" and vllm),
        quotes_only=settings.generator_quotes_only,
        context_tokens=settings.generator_context_tokens,
        extra=settings.generator_extra,
    )
    rewriter = None
    if settings.generator_rewrites:
        rewriter = LanguageModelRewriter(client, FollowUpRewriter(), settings.generator_extra)
    decomposer = None
    if settings.generator_decomposes:
        decomposer = LanguageModelDecomposer(client, guided=style.guided, extra=settings.generator_extra)
    return LanguageModel(client, LanguageModelGenerator(settings.generator, client, style), rewriter, decomposer)
