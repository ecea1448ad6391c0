"""Checking proposed sentences: is each quote really in the document, and does it support what is said?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from generate.answer import AnswerSpan, Citation
from generate.assessment import Quote
from generate.claims import claim_of
from generate.generators import Sentence
from generate.passages import passage_text
from ingest.catalogue import Catalogue
from ingest.documents import VersionText, load_version_text
from ingest.errors import Gone
from ingest.sentences import Span
from retrieve import Hit

SUPPORT_MIN = 0.5
_PAIR_GAIN_MIN = 2
_IDLE_SHARE = 0.5


class SupportChecker(Protocol):
    """How well quotes support a sentence, in [0, 1]; 1 for a verbatim quote. `passages` are the texts around the
    quotes, with their titles. Synchronous and thread-safe.
    """

    name: str

    def support(self, sentence: str, quotes: Sequence[str], passages: Sequence[str] = ()) -> float: ...


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
        proposed = [*sentence.quotes, *(best_quote(sentence.text, hit) for hit in sentence.passages)]
        texts = self._version_texts(proposed)
        quotes = [(quote, texts[quote.hit.version_pk]) for quote in proposed if _stands(quote, texts)]
        if not quotes:
            return "its quote is not in the cited document"
        support = self._supported(sentence.text, [quote for quote, _ in quotes])
        if support < SUPPORT_MIN:
            return f"its quotes support it only to {support:.2f}"
        supported = self._without_idle(sentence.text, quotes, support)
        citations = tuple(
            _citation(quote, version, f"[{number}]", answer_start, len(sentence.text), own)
            for number, (quote, version, own) in enumerate(supported, start=first_marker)
        )
        spans = tuple(AnswerSpan(answer_start + span.start, answer_start + span.end) for span in sentence.spans)
        return CheckedSentence(sentence.text, spans, citations)

    def _supported(self, sentence: str, quotes: Sequence[Quote]) -> float:
        around = {quote.hit.chunk_id: _passage(quote.hit) for quote in quotes}
        return self._support.support(sentence, [quote.text for quote in quotes], list(around.values()))

    def _without_idle(
        self, sentence: str, quotes: Sequence[tuple[Quote, VersionText]], support: float
    ) -> list[tuple[Quote, VersionText, float]]:
        """The quotes with the support of each, without those that add nothing to what another one shows alone."""
        if len(quotes) == 1:
            return [(*quotes[0], support)]
        alone = [self._supported(sentence, [quote]) for quote, _ in quotes]
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


def best_quote(sentence: str, hit: Hit) -> Quote:
    """The sentence of the passage that shares most content with `sentence`, or two neighbours where the second adds at
    least two terms; the earliest of equals.
    """
    spans = passage_text(hit).sentences or [Span(0, len(hit.text))]
    wanted = frozenset(claim_of(sentence).terms)
    held = [wanted & claim_of(hit.text[span.start : span.end]).vocabulary for span in spans]
    scored = [(len(terms), -index, span) for index, (terms, span) in enumerate(zip(held, spans, strict=True))]
    for index, (one, other) in enumerate(pairwise(held)):
        if len(one | other) >= max(len(one), len(other)) + _PAIR_GAIN_MIN:
            scored.append((len(one | other), -index, Span(spans[index].start, spans[index + 1].end)))
    best = max(scored, key=lambda one: one[:2])[2]
    return Quote(hit, hit.char_start + best.start, hit.char_start + best.end)


def _passage(hit: Hit) -> str:
    return "\n".join(part for part in (hit.title, hit.heading, hit.text) if part)


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
