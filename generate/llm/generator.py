"""The generator that asks a language model. It proposes; the citation check and the policy decide, as for any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from generate.answer import AnswerSpan, GeneratorInfo, Usage
from generate.assessment import Quote
from generate.generators import Draft, Evidence, Finished, Piece, Sentence
from generate.llm.budget import FittedPrompt, PromptFitter
from generate.llm.client import ChatClient, ChatRequest
from generate.llm.fencing import defused
from generate.llm.grammar import cited_sentences, quoted_sentences
from generate.llm.prompts import NO_ANSWER, PromptSet
from generate.llm.sentences import CitedSentence, Segmenter, WithoutThoughts
from generate.llm.wire import Delta
from generate.passages import passage_text
from retrieve import Hit

_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Style:
    """How a model is asked. `guided`: bind it to a grammar; `quotes_only`: answers are verbatim quotes."""

    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = 0
    guided: bool = True
    quotes_only: bool = False
    context_tokens: int | None = None
    extra: Mapping[str, Any] | None = None


class LanguageModelGenerator:
    """Implements `generate.generators.Generator` on a chat server.

    `counts` are since the start: `markers` read, `markers_removed` because no such passage was given, `sentences`,
    `uncited`, `not_quotes`, `cut`, `declined`.
    """

    def __init__(self, name: str, client: ChatClient, style: Style) -> None:
        self._client = client
        self._style = style
        prompts = PromptSet("quotes" if style.quotes_only else "answer")
        self.info = GeneratorInfo(name, client.model, prompts.name)
        self.counts: Counter[str] = Counter()
        self._fitter = PromptFitter(
            client, prompts, answer_tokens=style.max_tokens, context_tokens=style.context_tokens
        )

    async def prepare(self, question: str, hits: Sequence[Hit], template: str | None) -> FittedPrompt:
        """The prompt. Raises as `generate` does."""
        return await self._fitter.fit(question, hits, template)

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        """Raises `InvalidInput` (`question_too_long`), `Unavailable`, `Overloaded` and `DeadlineExceeded`."""
        prompt = evidence.prepared
        if not isinstance(prompt, FittedPrompt):
            prompt = await self.prepare(evidence.question, evidence.hits, evidence.template)
        by_rank = {hit.rank: hit for hit in evidence.hits}
        passages = [by_rank[hit.rank] for hit in prompt.passages]
        reading = _Reading(passages, _quotes_of(prompt.passages) if self._style.quotes_only else None)
        thoughts = WithoutThoughts()
        raw: list[str] = []
        request = self._request(prompt)
        async with aclosing(self._client.stream(request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Delta):
                    text = thoughts.feed(piece.text)
                    raw.append(piece.text)
                    if text:
                        yield Draft(text)
                    for sentence in reading.feed(text):
                        yield sentence
                else:
                    reading.finish_reason = piece.finish_reason or reading.finish_reason
                    reading.usage = piece.usage or reading.usage
        if text := thoughts.end():
            yield Draft(text)
        for sentence in reading.end(text):
            yield sentence
        self.counts.update(reading.counts)
        yield Finished(reading.usage or Usage(prompt.tokens, 0), self._record(request, prompt, reading, "".join(raw)))

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._client.aclose()

    def ping(self) -> None:
        """Raises `Unavailable` unless the server serves the model."""
        self._client.ping()

    def _request(self, prompt: FittedPrompt) -> ChatRequest:
        style, grammar = self._style, None
        if style.guided and style.quotes_only:
            quotes = _quotes_of(prompt.passages)
            grammar = quoted_sentences(quotes) if quotes else None
        elif style.guided:
            grammar = cited_sentences(len(prompt.passages))
        return ChatRequest(
            prompt.messages, style.max_tokens, style.temperature, style.seed, grammar, dict(style.extra or {})
        )

    def _record(self, request: ChatRequest, prompt: FittedPrompt, reading: _Reading, raw: str) -> dict[str, Any]:
        """What the trace keeps: enough to send the request again, and to see what became of its reply."""
        return {
            "prompt": [dict(message) for message in request.messages],
            "seeds": [] if request.seed is None else [request.seed],
            "declined": reading.declined,
            "output": raw,
            "finish_reason": reading.finish_reason,
            "passages": [hit.rank for hit in prompt.passages],
            "passages_dropped": list(prompt.dropped),
            "passage_shortened": prompt.shortened,
            "prompt_tokens": {"count": prompt.tokens, "counted": prompt.counted},
            "usage_reported": reading.usage is not None,
            "grammar": request.grammar,
            **{name: reading.counts[name] for name in ("markers", "markers_removed", "uncited", "not_quotes", "cut")},
        }


class _Reading:
    """Turns text that arrives into proposed sentences, and counts what is wrong with them."""

    def __init__(self, passages: Sequence[Hit], quotes: Mapping[tuple[int, str], Quote] | None) -> None:
        self._passages = passages
        self._quotes = quotes
        self._segmenter = Segmenter(by_marks=quotes is not None)
        self._refused = False
        self.counts: Counter[str] = Counter()
        self.finish_reason: str | None = None
        self.usage: Usage | None = None

    @property
    def declined(self) -> bool:
        """Whether the model said that the passages hold no answer, and nothing else."""
        return self._refused and not self.counts["sentences"]

    def feed(self, text: str) -> list[Sentence]:
        return [self._proposed(one) for one in self._segmenter.feed(text) if not self._is_refusal(one)]

    def end(self, text: str) -> list[Sentence]:
        rest = [*self._segmenter.feed(text), *self._segmenter.end(cut=self.finish_reason == "length")]
        found = [self._proposed(one) for one in rest if not self._is_refusal(one)]
        self.counts["declined"] += self.declined
        return found

    def _is_refusal(self, sentence: CitedSentence) -> bool:
        refusal = sentence.text.strip(" .。*\"'`").upper() == NO_ANSWER
        self._refused = self._refused or refusal
        return refusal

    def _proposed(self, sentence: CitedSentence) -> Sentence:
        given = [number for number in sentence.numbers if 1 <= number <= len(self._passages)]
        self.counts["sentences"] += 1
        self.counts["markers"] += len(sentence.numbers)
        self.counts["markers_removed"] += len(sentence.numbers) - len(given)
        self.counts["uncited"] += not given
        if self._quotes is not None:
            return self._quoted(sentence, given, self._quotes)
        passages = tuple(self._passages[number - 1] for number in given)
        fault = None
        if sentence.cut:
            self.counts["cut"] += 1
            fault = "it was cut off: the answer reached the longest length that is allowed"
        elif _REPLACEMENT in sentence.text:
            fault = "it holds characters that arrived broken"
        return Sentence(sentence.text, (), (AnswerSpan(0, len(sentence.text)),), passages, fault)

    def _quoted(
        self, sentence: CitedSentence, given: Sequence[int], quotes: Mapping[tuple[int, str], Quote]
    ) -> Sentence:
        """The sentence as the document has it, where it is one of the passage's; a fault otherwise."""
        for number in given:
            quote = quotes.get((number, _key(sentence.text)))
            if quote is not None:
                return Sentence(quote.text, (quote,), (AnswerSpan(0, len(quote.text)),))
        self.counts["not_quotes"] += 1
        return Sentence(sentence.text, fault="it is no verbatim sentence of a passage that it cites")


def _quotes_of(passages: Sequence[Hit]) -> dict[tuple[int, str], Quote]:
    """The sentences of the passages, by number of the passage and words."""
    found: dict[tuple[int, str], Quote] = {}
    for number, hit in enumerate(passages, start=1):
        for span in passage_text(hit).sentences:
            if hit.text.startswith("#", span.start):
                continue  # a heading says nothing
            quote = Quote(hit, hit.char_start + span.start, hit.char_start + span.end)
            found.setdefault((number, _key(defused(quote.text))), quote)
    return found


def _key(text: str) -> str:
    return " ".join(text.split())
