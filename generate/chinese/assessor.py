"""Judges evidence for questions in Chinese by the spans that may answer them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from generate.answer import AnswerSpan
from generate.assessment import Assessment, Assessor, Quote, ScoredSentence, overlaps
from generate.chinese.likeness import CosineLikeness
from generate.chinese.questions import KINDS
from generate.chinese.reader import ChineseWeights, Read, Sentence, SpanNetwork, read
from generate.clauses import cut_around
from ingest.generations import GenerationSpec
from ingest.models.profiles import JOINT
from ingest.sentences import Span, cjk_share
from retrieve import Hit

CONFIDENCE_FEATURES = (
    "share",
    "margin",
    "logit",
    "held",
    "held_around",
    "held_in_passage",
    "pairs",
    "rank",
    "fused",
    "agreement",
    "cosine",
    "cosine_lead",
    "passage_cosine",
    *(f"asks_{kind}" for kind in KINDS),
)
"""Order of the confidence's weights; see `confidence_features`."""

_CJK_LEAST = 0.5
_PASSAGE_CJK_LEAST = 0.3
_OTHER_SCRIPTS = re.compile(r"[\u3040-\u30ff\uac00-\ud7a3]")
_SPANS_SUMMED = 200
_LOGIT_MAX = 12.0


@dataclass(frozen=True, slots=True)
class QuotedSpans:
    """Spans that the same quote holds, best first by logit; `share` in [0, 1] is what they have of all probability."""

    quote: Quote
    spans: tuple[Span, ...]
    share: float
    logit: float
    sentence: Sentence


def reads_chinese(question: str) -> bool:
    """Whether the question is written in Chinese: Han characters for the most part, no kana and no Hangul."""
    return cjk_share(question) >= _CJK_LEAST and not _OTHER_SCRIPTS.search(question)


class ChineseAssessor:
    """Answers in Chinese passages to questions in Chinese; everything else goes to `otherwise`.

    The weights are fitted for `likeness`, or for None.
    """

    def __init__(self, weights: ChineseWeights, *, likeness: CosineLikeness | None, otherwise: Assessor) -> None:
        self._weights = weights
        self._likeness = likeness
        self._otherwise = otherwise

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        """As `Assessor`; raises what `likeness` and `otherwise` raise."""
        chinese = [hit for hit in hits if cjk_share(hit.text) >= _PASSAGE_CJK_LEAST]
        if not chinese or not reads_chinese(question):
            return self._otherwise.assess(question, hits, spec, without=without)
        found = read(question, chinese, self._likeness, passages_alike=self._embedded_alike(spec))
        quoted = [] if found is None else quoted_spans(found, self._weights.spans, without)
        if found is None or not quoted:
            return Assessment((), 0.0, {})
        features = confidence_features(found, quoted)
        return Assessment(
            tuple(_scored(one) for one in quoted),
            self._weights.confidence.probability(features),
            dict(zip(CONFIDENCE_FEATURES, features, strict=True)),
        )

    def _embedded_alike(self, spec: GenerationSpec) -> bool:
        """Whether the scores of Chinese passages are cosines of the model that the weights were fitted on."""
        return self._likeness is not None and spec.embedder.rpartition(JOINT)[2] == self._likeness.model


def quoted_spans(found: Read, network: SpanNetwork, without: Collection[Quote] = ()) -> list[QuotedSpans]:
    """Quotes by the probability of the spans in them, best first; a softmax over the 200 best spans."""
    logits = network.logits(found.features)
    order = np.argsort(-logits, kind="stable")[:_SPANS_SUMMED]
    odds = np.exp(logits[order] - logits[order[0]])
    rows: dict[tuple[str, int, int], list[tuple[int, float]]] = {}
    quotes: dict[tuple[str, int, int], tuple[Sentence, Quote]] = {}
    for row, odd in zip(order.tolist(), odds.tolist(), strict=True):
        sentence, span = found.span(row)
        hit = sentence.hit
        part = cut_around(hit.text, sentence.place, span)
        key = (hit.chunk_id, part.start, part.end)
        quotes.setdefault(key, (sentence, Quote(hit, hit.char_start + part.start, hit.char_start + part.end)))
        rows.setdefault(key, []).append((row, odd))
    total = float(odds.sum())
    kept = [
        QuotedSpans(
            quote,
            tuple(found.span(row)[1] for row, _ in rows[key]),
            sum(odd for _, odd in rows[key]) / total,
            float(logits[rows[key][0][0]]),
            sentence,
        )
        for key, (sentence, quote) in quotes.items()
        if not overlaps(quote, without)
    ]
    return sorted(kept, key=lambda one: -one.share)


def confidence_features(found: Read, quoted: Sequence[QuotedSpans]) -> tuple[float, ...]:
    """In the order of `CONFIDENCE_FEATURES`: the best quote's share, its lead over the next one, its best logit / 12;
    the shares of the question's words that its sentence, with its neighbours, and its passage have; its share of the
    question's pairs; 1 / rank; share of the best fused score; how many other documents have the same answer among
    the ten best quotes (0, 1/2, 3/4, …); its sentence's cosine with the question, how far it is below the best one, and
    its passage's; the kind of thing asked for.
    """
    best = quoted[0]
    held, around, passage, _, pairs, rank, fused, _, _, *cosines = best.sentence.shared
    answer = _text(best)
    agreeing = {one.quote.hit.document_pk for one in quoted[1:10] if _text(one) == answer} - {
        best.quote.hit.document_pk
    }
    return (
        best.share,
        best.share - (quoted[1].share if len(quoted) > 1 else 0.0),
        max(-1.0, min(1.0, best.logit / _LOGIT_MAX)),
        held,
        around,
        passage,
        pairs,
        rank,
        fused,
        1 - 0.5 ** len(agreeing),
        *cosines,
        *(float(found.focus.kind == kind) for kind in KINDS),
    )


def _text(quoted: QuotedSpans) -> str:
    span = quoted.spans[0]
    return quoted.quote.hit.text[span.start : span.end]


def _scored(quoted: QuotedSpans) -> ScoredSentence:
    """The span marked within its quote."""
    shift = quoted.quote.start - quoted.quote.hit.char_start
    size = quoted.quote.end - quoted.quote.start
    first = quoted.spans[0]
    marked = AnswerSpan(max(first.start - shift, 0), min(first.end - shift, size))
    return ScoredSentence(quoted.quote, quoted.share, (marked,))
