"""Reranking: a model that reads query and passage together reorders the best fused candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ingest.chunking import contextual_text
from ingest.models import ModelRuntime, PairScorer, PassageReader, Priority, Reading, SpanScore
from retrieve.fusion import embedder_fits
from retrieve.query import Hit


class Reranker(Protocol):
    """Reorders hits for a query. Thread-safe. `languages` as those of a model; None for any."""

    name: str
    languages: tuple[str, ...] | None

    def rerank(self, query: str, hits: Sequence[Hit], *, timeout_s: float) -> list[Hit]:
        """The hits in their new order, with `score` and `scores.rerank`; equal scores keep their order.

        Raises `DeadlineExceeded` after `timeout_s`, `Overloaded` when too many pairs wait.
        """
        ...


def reranks(reranker: Reranker | None, query: str) -> bool:
    """Whether there is a reranker, and it reads the script of the query."""
    return reranker is not None and embedder_fits(query, languages=reranker.languages)


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder, run by the shared model runtime; its scores alone decide."""

    languages: tuple[str, ...] | None = None

    def __init__(self, runtime: ModelRuntime, scorer: PairScorer) -> None:
        self._runtime = runtime
        self._scorer = scorer
        self.name = scorer.name

    def rerank(self, query: str, hits: Sequence[Hit], *, timeout_s: float) -> list[Hit]:
        pairs = [(query, hit.text) for hit in hits]
        scores = self._runtime.score(self._scorer, pairs, priority=Priority.QUERY, timeout_s=timeout_s)
        return _ordered([_scored(hit, float(score), float(score)) for hit, score in zip(hits, scores, strict=True)])


class ReadingReranker:
    """The reading model's relevance, added to the fused score; the readings stay with the hits for whoever answers.

    score = fused score + `weight` * (relevance - greatest relevance): the logit's distance from that of the most
    relevant passage, in units of the fused score. The first `first` hits are read in one batch, the others too unless
    the outcome is clear: a passage among the first answers the question by the model's own account, and stands at
    least `clear_margin` logits above the last of them. Hits left unread count as the least relevant one that was read.
    """

    def __init__(
        self, runtime: ModelRuntime, reader: PassageReader, *, weight: float, first: int, clear_margin: float
    ) -> None:
        self._runtime = runtime
        self._reader = reader
        self._weight = weight
        self._first = first
        self._clear_margin = clear_margin
        self.name = f"{reader.name}@{reader.revision}"
        self.languages = reader.languages

    def rerank(self, query: str, hits: Sequence[Hit], *, timeout_s: float) -> list[Hit]:
        readings = read_hits(self._runtime, self._reader, query, hits[: self._first], timeout_s=timeout_s)
        rest = hits[len(readings) :]
        if rest and not self._clear(readings):
            readings += read_hits(self._runtime, self._reader, query, rest, timeout_s=timeout_s)
        relevances = [reading.relevance for reading in readings]
        best, least = max(relevances, default=0.0), min(relevances, default=0.0)
        read = [self._scored(hit, reading, best) for hit, reading in zip(hits, readings, strict=False)]
        unread = [replace(hit, score=hit.score + self._weight * (least - best)) for hit in hits[len(readings) :]]
        return _ordered([*read, *unread])

    def _scored(self, hit: Hit, reading: Reading, best: float) -> Hit:
        score = hit.score + self._weight * (reading.relevance - best)
        return replace(_scored(hit, score, reading.relevance), reading=reading)

    def _clear(self, readings: Sequence[Reading]) -> bool:
        best = max(readings, key=lambda reading: reading.relevance)
        least = min(reading.relevance for reading in readings)
        return best.no_answer < 0 and best.relevance - least >= self._clear_margin


def read_hits(
    runtime: ModelRuntime, reader: PassageReader, query: str, hits: Sequence[Hit], *, timeout_s: float
) -> list[Reading]:
    """One reading a hit, with spans in code points of `hit.text`.

    The model sees what is embedded and indexed: title and heading before the text; spans within those are dropped.
    Raises as the runtime does.
    """
    texts = [contextual_text(hit.title, hit.heading, hit.text) for hit in hits]
    readings = runtime.read(reader, [(query, text) for text in texts], priority=Priority.QUERY, timeout_s=timeout_s)
    return [
        shifted(reading, len(hit.text) - len(text), len(hit.text))
        for hit, text, reading in zip(hits, texts, readings, strict=True)
    ]


def shifted(reading: Reading, by: int, length: int) -> Reading:
    """The reading with its spans moved by `by` code points, without those that then reach out of `[0, length)`."""
    spans = (SpanScore(span.start + by, span.end + by, span.score) for span in reading.spans)
    return replace(reading, spans=tuple(span for span in spans if span.start >= 0 and span.end <= length))


def joined_reading(first: Reading | None, other: Reading | None, *, offset: int) -> Reading | None:
    """One reading of two overlapping passages: the better judgement, and the spans of both, best first, each once.

    `offset` is where the other passage begins in the joined text, in code points; the first one begins it. Where only
    one was read, it speaks for both.
    """
    if other is None:
        return first
    moved = tuple(SpanScore(span.start + offset, span.end + offset, span.score) for span in other.spans)
    if first is None:
        return replace(other, spans=moved)
    spans: list[SpanScore] = []
    for span in sorted([*first.spans, *moved], key=lambda span: -span.score):
        if not any(span.start < kept.end and kept.start < span.end for kept in spans):
            spans.append(span)
    return Reading(max(first.relevance, other.relevance), min(first.no_answer, other.no_answer), tuple(spans))


def _scored(hit: Hit, score: float, rerank: float) -> Hit:
    return replace(hit, score=score, scores=replace(hit.scores, rerank=rerank))


def _ordered(hits: Sequence[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: -hit.score)
