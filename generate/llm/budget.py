"""Fitting a prompt into the model's context: counted by the server where it can, passages dropped from the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generate.llm.client import ChatClient, Message
from generate.llm.prompts import PromptSet, answer_messages
from ingest.errors import InvalidInput
from ingest.sentences import sentence_spans
from retrieve import Hit

_ESTIMATED_CONTEXT = 8192
_CHARS_A_TOKEN = 2.5
_MESSAGE_TOKENS = 16
_TEMPLATE_TOKENS_MAX = 512


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """A prompt with its passages in the order of their numbers, from 1.

    `tokens` as counted (or estimated, where `counted` is false); `dropped` are the ranks of the passages that did not
    fit; `shortened` is the rank of one of which only the first sentences did.
    """

    messages: tuple[Message, ...]
    passages: tuple[Hit, ...]
    tokens: int
    counted: bool
    dropped: tuple[int, ...] = ()
    shortened: int | None = None


class PromptFitter:
    """Builds prompts that leave room for `answer_tokens`; `context_tokens` where the server does not tell its own."""

    def __init__(
        self, client: ChatClient, prompts: PromptSet, *, answer_tokens: int, context_tokens: int | None = None
    ) -> None:
        self._client = client
        self._prompts = prompts
        self._answer_tokens = answer_tokens
        self._context_tokens = context_tokens

    async def fit(self, question: str, hits: Sequence[Hit], instructions: str | None) -> FittedPrompt:
        """The prompt with as many of the best passages as fit; of a single one that does not, its first sentences.

        Raises `InvalidInput` (`question_too_long`) when not even a sentence fits, and what counting raises.
        """
        kept, shortened = list(hits), None
        while True:
            passages = in_stable_order(kept)
            messages = answer_messages(self._prompts, question, passages, instructions)
            tokens, room, counted = await self._count(messages)
            if tokens <= room:
                dropped = tuple(hit.rank for hit in hits[len(kept) :])
                return FittedPrompt(messages, passages, tokens, counted, dropped, shortened)
            if len(kept) > 1:
                estimate = sum(estimated_tokens(message["content"]) for message in messages)
                kept = _fewer(kept, (tokens - room) * estimate / tokens)
                continue
            shorter = _first_sentences(kept[0], room / tokens)
            if shorter is None:
                raise InvalidInput(
                    f"the question with its instructions takes {tokens} tokens, and the model's context has room for "
                    f"{room}; shorten the question, or serve the model with a longer context",
                    code="question_too_long",
                )
            kept, shortened = [shorter], shorter.rank

    async def _count(self, messages: tuple[Message, ...]) -> tuple[int, int, bool]:
        """Tokens of the prompt, tokens that it may have, and whether they were counted.

        A prompt that has room whatever its tokenizer makes of it is not counted, once the server has told its context.
        """
        estimate = sum(estimated_tokens(message["content"]) + _MESSAGE_TOKENS for message in messages)
        told = self._client.context_tokens
        if told is not None and most_tokens(messages) <= self._room(told):
            return estimate, self._room(told), False
        counted = await self._client.count_tokens(messages)
        if counted is None:
            return estimate, self._room(None), False
        return counted[0], self._room(counted[1]), True

    def _room(self, told: int | None) -> int:
        """Tokens that a prompt may have in the context that the server told, and the settings allow."""
        lengths = [length for length in (self._context_tokens, told) if length]
        return max(min(lengths, default=_ESTIMATED_CONTEXT) - self._answer_tokens, 1)


def in_stable_order(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """By document and place, whatever the question: equal sets of passages make equal beginnings of prompts."""
    return tuple(sorted(hits, key=lambda hit: (hit.document_id, hit.version, hit.char_start)))


def estimated_tokens(text: str) -> int:
    """Rather too many than too few: one token for 2.5 ASCII characters, and one for each other character."""
    ascii_chars = sum(character.isascii() for character in text)
    return int(ascii_chars / _CHARS_A_TOKEN) + len(text) - ascii_chars + 1


def most_tokens(messages: Sequence[Message]) -> int:
    """More than any tokenizer makes of a prompt: a token stands for a byte at least, but for those of the template."""
    return sum(len(message["content"].encode("utf-8", "replace")) for message in messages) + _TEMPLATE_TOKENS_MAX


def _fewer(hits: list[Hit], excess: float) -> list[Hit]:
    """The first of `hits`, at least one and not all, without the last ones of so many (estimated) tokens."""
    kept = len(hits)
    while kept > 1 and excess > 0:
        kept -= 1
        excess -= estimated_tokens(hits[kept].text)
    return hits[:kept]


def _first_sentences(hit: Hit, share: float) -> Hit | None:
    """The passage without its last sentences, with about this share of its characters; None when none is left."""
    spans = sentence_spans(hit.text)
    allowed = min(share * len(hit.text), len(hit.text) - 1)
    ends = [span.end for span in spans if span.end <= allowed]
    if not ends:
        ends = [span.end for span in spans[:1] if span.end < len(hit.text.rstrip())]
    if not ends:
        return None
    return replace(hit, text=hit.text[: ends[-1]], char_end=hit.char_start + ends[-1])
