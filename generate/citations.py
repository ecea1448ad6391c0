"""Checking proposed sentences: is each quote really in the document, and does it support what is said?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from generate.answer import AnswerSpan, Citation
from generate.assessment import Quote
from generate.generators import Sentence
from ingest.catalogue import Catalogue
from ingest.documents import VersionText, load_version_text
from ingest.errors import Gone
from ingest.sentences import Span, sentence_spans
from retrieve import Hit
from retrieve.analysis import analyse_document

SUPPORT_MIN = 0.5
_QUOTES_TRIED = 3
_IDLE_SHARE = 0.5


class SupportChecker(Protocol):
    """How well a quote supports a sentence, in [0, 1]. Synchronous and thread-safe."""

    name: str

    def support(self, sentence: str, quotes: Sequence[str]) -> float: ...


class TermSupport:
    """Share of the sentence's distinct terms that stand in its quotes; 1 for a verbatim quote."""

    name = "terms-1"

    def support(self, sentence: str, quotes: Sequence[str]) -> float:
        if any(sentence in quote for quote in quotes):
            return 1.0
        terms = set(analyse_document(sentence))
        held = {term for quote in quotes for term in analyse_document(quote)}
        return len(terms & held) / len(terms) if terms else 0.0


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence that stands: its text, its short-answer spans (offsets in the answer) and its citations."""

    text: str
    spans: tuple[AnswerSpan, ...]
    citations: tuple[Citation, ...]


class CitationChecker:
    """Turns proposed sentences into checked ones; a sentence without a supporting quote is rejected."""

    def __init__(self, catalogue: Catalogue, support: SupportChecker) -> None:
        self._catalogue = catalogue
        self._support = support

    def check(self, sentence: Sentence, *, answer_start: int, first_marker: int) -> CheckedSentence | str:
        """The checked sentence, or the reason why it cannot stand.

        `answer_start` is where the sentence will begin in the answer; citations get the markers `[first_marker]`, ….
        """
        if sentence.fault is not None:
            return sentence.fault
        if not sentence.quotes and not sentence.passages:
            return "cites nothing"
        proposed = [*sentence.quotes, *(self._best_quote(sentence.text, hit) for hit in sentence.passages)]
        texts = self._version_texts(proposed)
        quotes = [(quote, texts[quote.hit.version_pk]) for quote in proposed if _stands(quote, texts)]
        if not quotes:
            return "its quote is not in the cited document"
        support = self._support.support(sentence.text, [version.text[q.start : q.end] for q, version in quotes])
        if support < SUPPORT_MIN:
            return f"its quotes support it only to {support:.2f}"
        supported = self._without_idle(sentence.text, quotes, support)
        citations = tuple(
            _citation(quote, version, f"[{number}]", answer_start, len(sentence.text), own)
            for number, (quote, version, own) in enumerate(supported, start=first_marker)
        )
        spans = tuple(AnswerSpan(answer_start + span.start, answer_start + span.end) for span in sentence.spans)
        return CheckedSentence(sentence.text, spans, citations)

    def _best_quote(self, sentence: str, hit: Hit) -> Quote:
        """The sentence of the passage (or two neighbours) that supports `sentence` best, the earliest of equals."""
        best = quotes_by_overlap(sentence, hit)[:_QUOTES_TRIED]
        return max(best, key=lambda quote: self._support.support(sentence, [quote.text]))

    def _without_idle(
        self, sentence: str, quotes: Sequence[tuple[Quote, VersionText]], support: float
    ) -> list[tuple[Quote, VersionText, float]]:
        """The quotes with the support of each, without those that add nothing to what another one shows alone."""
        if len(quotes) == 1:
            return [(*quotes[0], support)]
        alone = [self._support.support(sentence, [version.text[q.start : q.end]]) for q, version in quotes]
        if max(alone) < SUPPORT_MIN:  # only together do they support it
            return [(quote, version, support) for quote, version in quotes]
        return [
            (quote, version, own)
            for (quote, version), own in zip(quotes, alone, strict=True)
            if own >= _IDLE_SHARE * max(alone)
        ]

    def _version_texts(self, quotes: Sequence[Quote]) -> dict[int, VersionText]:
        texts: dict[int, VersionText] = {}
        with self._catalogue.read() as connection:
            for key in {quote.hit.version_pk for quote in quotes}:
                try:
                    texts[key] = load_version_text(connection, key)
                except Gone:
                    continue  # deleted since the search: nothing may be quoted from it
        return texts


def quotes_by_overlap(sentence: str, hit: Hit) -> list[Quote]:
    """Sentences of the passage, and pairs of neighbours, by the terms that they share with `sentence`, most first.

    A pair comes only where it holds terms that neither half holds alone; equal ones in reading order.
    """
    wanted = set(analyse_document(sentence))
    spans = [Span(0, len(hit.text))] if not hit.text.strip() else sentence_spans(hit.text)
    held = [wanted & set(analyse_document(hit.text[span.start : span.end])) for span in spans]
    scored = [(len(terms), -index, span) for index, (terms, span) in enumerate(zip(held, spans, strict=True))]
    for index in range(len(spans) - 1):
        both = held[index] | held[index + 1]
        if len(both) > max(len(held[index]), len(held[index + 1])):
            scored.append((len(both), -index - len(spans), Span(spans[index].start, spans[index + 1].end)))
    ordered = sorted(scored, key=lambda one: one[:2], reverse=True)
    return [Quote(hit, hit.char_start + span.start, hit.char_start + span.end) for _, _, span in ordered]


def _stands(quote: Quote, texts: dict[int, VersionText]) -> bool:
    version = texts.get(quote.hit.version_pk)
    return version is not None and bool(quote.text) and version.text[quote.start : quote.end] == quote.text


def _citation(quote: Quote, version: VersionText, marker: str, start: int, length: int, support: float) -> Citation:
    page = next((page.number for page in reversed(version.pages) if page.start <= quote.start), None)
    return Citation(
        marker=marker,
        answer_start=start,
        answer_end=start + length,
        document_id=quote.hit.document_id,
        document_pk=quote.hit.document_pk,
        version=quote.hit.version,
        title=quote.hit.title,
        page=page,
        heading=quote.hit.heading,
        char_start=quote.start,
        char_end=quote.end,
        quote=version.text[quote.start : quote.end],
        support=round(support, 4),
        credibility=quote.hit.credibility,
    )
