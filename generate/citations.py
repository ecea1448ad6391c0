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
from retrieve.analysis import analyse_document

SUPPORT_MIN = 0.5


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
        if not sentence.quotes:
            return "cites nothing"
        texts = self._version_texts(sentence.quotes)
        quotes = [(quote, texts[quote.hit.version_pk]) for quote in sentence.quotes if _stands(quote, texts)]
        if not quotes:
            return "its quote is not in the cited document"
        support = self._support.support(sentence.text, [version.text[q.start : q.end] for q, version in quotes])
        if support < SUPPORT_MIN:
            return f"its quotes support it only to {support:.2f}"
        citations = tuple(
            _citation(quote, version, f"[{number}]", answer_start, len(sentence.text), support)
            for number, (quote, version) in enumerate(quotes, start=first_marker)
        )
        spans = tuple(AnswerSpan(answer_start + span.start, answer_start + span.end) for span in sentence.spans)
        return CheckedSentence(sentence.text, spans, citations)

    def _version_texts(self, quotes: Sequence[Quote]) -> dict[int, VersionText]:
        texts: dict[int, VersionText] = {}
        with self._catalogue.read() as connection:
            for key in {quote.hit.version_pk for quote in quotes}:
                try:
                    texts[key] = load_version_text(connection, key)
                except Gone:
                    continue  # deleted since the search: nothing may be quoted from it
        return texts


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
