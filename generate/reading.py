"""The reader's assessment: which sentences hold an answer, and how likely the best one answers the question.

The reading model says of each passage where the answer may stand, how relevant it is, and whether it answers at all.
Sentences get these signals together with those of the retrieval and of the words; one logistic model ranks them,
another turns the best sentence's signals into the confidence. Both are fitted by `eval.fit_reading` and shipped as
`data/models/reading.json`. Questions in a script that the model cannot read go to another assessor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from generate.answer import AnswerSpan
from generate.assessment import (
    Assessment,
    Assessor,
    Quote,
    ScoredSentence,
    answer_type,
    content_terms,
    idf_of,
    overlaps,
)
from generate.claims import Claim, claim_of, opposites
from generate.clauses import can_answer, count_words, cut_around, sentences_around
from generate.logistic import LogisticModel, saturated
from generate.passages import PassageText, passage_text, sentence_terms
from ingest.caches import LruCache
from ingest.generations import GenerationSpec
from ingest.models import ModelRuntime, PassageReader, Reading, SpanScore
from ingest.sentences import Span
from retrieve import Hit, read_hits
from retrieve.fusion import embedder_fits

SENTENCE_FEATURES = (
    "span",
    "answers",
    "relevance",
    "rank",
    "fused",
    "cosine",
    "coverage",
    "rare_coverage",
    "context_coverage",
    "answer_type",
    "span_length",
    "missing",
    "missing_nearby",
    "unknown_names",
    "other_names",
    "other_figures",
    "denied",
    "denying",
    "opposites",
)
CONFIDENCE_FEATURES = (*SENTENCE_FEATURES, "margin", "agreement", "sharpness", "best_answers", "few_passages")
"""Orders of the weights; see `_features` and `_confidence_features` for what each is."""

_LOGIT_MAX = 8.0
_TERMS_MIN = 2
_READINGS_MAX = 256
_RIVAL_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class ReadingWeights:
    """`sentence` ranks sentences, `confidence` judges the best one."""

    sentence: LogisticModel
    confidence: LogisticModel

    @classmethod
    def load(cls, path: Path) -> ReadingWeights:
        """Reads the file that `eval.fit_reading` writes. Raises `ValueError` when its features are not ours."""
        body = json.loads(path.read_text())
        if (tuple(body["sentence_features"]), tuple(body["confidence_features"])) != (
            SENTENCE_FEATURES,
            CONFIDENCE_FEATURES,
        ):
            raise ValueError(f"{path} was fitted on other features; fit it again with python -m eval.fit_reading")
        return cls(LogisticModel.of(body["sentence"]), LogisticModel.of(body["confidence"]))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence (or the part of a long one around its answer) with the answer spans in it, best first."""

    quote: Quote
    spans: tuple[SpanScore, ...]
    terms: frozenset[str]
    reading: Reading

    @property
    def answer(self) -> str:
        """The short answer, folded for comparison; the sentence where the model marks none."""
        hit = self.quote.hit
        text = hit.text[self.spans[0].start : self.spans[0].end] if self.spans else self.quote.text
        return " ".join(sentence_terms(text))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question beside all that was found for it: its content terms, the weight of each in the candidates and of one
    that is nowhere, the sum of theirs; the greatest relevance and fused score of a passage.
    """

    question: str
    claim: Claim
    terms: tuple[str, ...]
    idf: Mapping[str, float]
    unseen: float
    weight: float
    relevance: float
    fused: float

    @classmethod
    def of(
        cls, question: str, hits: Sequence[Hit], readings: Sequence[Reading], candidates: Sequence[Candidate]
    ) -> _Asked:
        terms, idf = content_terms(question), idf_of([candidate.terms for candidate in candidates])
        unseen = max(idf.values(), default=1.0)
        return cls(
            question,
            claim_of(question),
            terms,
            idf,
            unseen,
            sum(idf.get(term, unseen) for term in terms) or 1.0,
            max((reading.relevance for reading in readings), default=0.0),
            max((hit.scores.fused for hit in hits), default=0.0) or 1.0,
        )

    def coverage(self, held: Callable[[str], bool]) -> tuple[float, float]:
        """Share of the content terms that are held, plain and idf-weighted."""
        found = [term for term in self.terms if held(term)]
        return len(found) / max(len(self.terms), 1), sum(self.idf.get(t, self.unseen) for t in found) / self.weight


class ReadingAssessor:
    """Judges evidence by what a reading model says of it. Synchronous and thread-safe."""

    def __init__(
        self,
        runtime: ModelRuntime,
        reader: PassageReader,
        weights: ReadingWeights,
        *,
        otherwise: Assessor,
        timeout_s: float,
    ) -> None:
        self._runtime = runtime
        self._reader = reader
        self._weights = weights
        self._otherwise = otherwise
        self._timeout_s = timeout_s
        self._read: LruCache[Reading] = LruCache(_READINGS_MAX)

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        """Passages that the reranking stage has read are not read again. Raises `DeadlineExceeded` and `Overloaded` as
        the model runtime does.
        """
        if not embedder_fits(question, languages=self._reader.languages):
            return self._otherwise.assess(question, hits, spec, without=without)
        rows = [row for row in self.feature_rows(question, hits) if not overlaps(row[0].quote, without)]
        if not rows:
            return Assessment((), 0.0, {})
        scored = sorted(
            ((self._weights.sentence.probability(row), candidate, row) for candidate, row in rows),
            key=lambda one: -one[0],
        )
        features = confidence_features(scored, hits)
        return Assessment(
            tuple(scored_sentence(candidate, score) for score, candidate, _ in scored),
            self._weights.confidence.probability(features),
            dict(zip(CONFIDENCE_FEATURES, features, strict=True)),
        )

    def feature_rows(self, question: str, hits: Sequence[Hit]) -> list[tuple[Candidate, tuple[float, ...]]]:
        """Candidate sentences, passage by passage, each with its features in the order of `SENTENCE_FEATURES`."""
        readings = self._readings(question, hits)
        candidates = _candidates(hits, readings)
        asked = _Asked.of(question, hits, readings, candidates)
        return [(candidate, _features(asked, candidate)) for candidate in candidates]

    def _readings(self, question: str, hits: Sequence[Hit]) -> list[Reading]:
        """Those of the reranking stage; passages that it left out are read here, once for a question."""
        keys = [_digest(question, hit) for hit in hits]
        known = [hit.reading or self._read.get(key) for key, hit in zip(keys, hits, strict=True)]
        unread = [place for place, reading in enumerate(known) if reading is None]
        passages = [hits[place] for place in unread]
        fresh = read_hits(self._runtime, self._reader, question, passages, timeout_s=self._timeout_s)
        for place, reading in zip(unread, fresh, strict=True):
            self._read.put(keys[place], reading)
        rest = iter(fresh)
        return [reading or next(rest) for reading in known]


def _digest(question: str, hit: Hit) -> bytes:
    """A name for what is read, without its words: they must not outlive their document."""
    return sha256("\0".join((question, hit.title or "", hit.heading or "", hit.text)).encode()).digest()


def confidence_features(
    scored: Sequence[tuple[float, Candidate, tuple[float, ...]]], hits: Sequence[Hit]
) -> tuple[float, ...]:
    """In the order of `CONFIDENCE_FEATURES`: those of the best sentence; its lead over the best one with another
    answer; how many other documents give the same answer (0, 1/2, 3/4, …); how far the most relevant passage stands
    above the mean; the strongest claim of any passage that it answers; 1 / number of passages, for with few of them the
    most relevant one cannot stand far above their mean.
    """
    score, best, row = scored[0]
    answer = best.answer
    rival = next((other for other, candidate, _ in scored[1:] if candidate.answer != answer), 0.0)
    document = best.quote.hit.document_pk
    agreeing = {
        candidate.quote.hit.document_pk
        for other, candidate, _ in scored[1:]
        if other >= _RIVAL_SHARE * score and candidate.answer == answer
    } - {document}
    readings = {candidate.quote.hit.chunk_id: candidate.reading for _, candidate, _ in scored}
    relevances = [reading.relevance for reading in readings.values()]
    return (
        *row,
        score - rival,
        saturated(len(agreeing)),
        _logit(max(relevances) - sum(relevances) / len(relevances)),
        _logit(max(-reading.no_answer for reading in readings.values())),
        1 / len(readings),
    )


def _candidates(hits: Sequence[Hit], readings: Sequence[Reading]) -> list[Candidate]:
    """Sentences that say something or hold an answer, each place once, with its best answers."""
    found: dict[tuple[int, int], Candidate] = {}
    for hit, reading in zip(hits, readings, strict=True):
        for quoted, spans in _quoted(hit, reading):
            quote = Quote(hit, hit.char_start + quoted.start, hit.char_start + quoted.end)
            terms = frozenset(sentence_terms(quote.text))
            key = (hit.version_pk, quote.start)
            known = found.get(key)
            if (spans or len(terms) > _TERMS_MIN) and (known is None or _span_score(spans) > _span_score(known.spans)):
                found[key] = Candidate(quote, spans, terms, reading)
    return list(found.values())


def _quoted(hit: Hit, reading: Reading) -> list[tuple[Span, tuple[SpanScore, ...]]]:
    """Quotes of a passage with the answer spans in them: the sentences around each span, then all other sentences that
    can answer.
    """
    sentences = [sentence for sentence in passage_text(hit).sentences if can_answer(hit.text, sentence)]
    places: dict[Span, list[SpanScore]] = {}
    for span in reading.spans:
        if not any(sentence.start < span.end and span.start < sentence.end for sentence in sentences):
            continue
        around = sentences_around(hit.text, Span(span.start, span.end), sentences)
        marked = SpanScore(max(span.start, around.start), min(span.end, around.end), span.score)
        quote = cut_around(hit.text, around, Span(marked.start, marked.end))
        home = next((place for place in places if place.start <= marked.start and marked.end <= place.end), quote)
        places.setdefault(home, []).append(marked)
    for sentence in sentences:
        if not any(place.start < sentence.end and sentence.start < place.end for place in places):
            places[cut_around(hit.text, sentence, Span(sentence.start, sentence.start + 1))] = []
    return [(place, tuple(spans)) for place, spans in places.items()]


def _features(asked: _Asked, candidate: Candidate) -> tuple[float, ...]:
    """In the order of `SENTENCE_FEATURES`: the best span's log-odds; the passage's that it answers; its relevance
    below the best one; 1 / rank; its share of the best fused score; its cosine; shares of the question's content terms
    in the sentence, plain, idf-weighted, and idf-weighted with the passage and its titles counted in; whether the kind
    of thing asked for is in the span (1), missing (-1) or unknown (0); length of the span, up to 10 words; how many of
    the content terms neither sentence nor titles have, and how many the passage lacks too; and what speaks against it,
    as `_contradictions` tells.
    """
    hit, terms = candidate.quote.hit, candidate.terms
    around = passage_text(hit)
    marked = hit.text[candidate.spans[0].start : candidate.spans[0].end] if candidate.spans else candidate.quote.text
    missing = [term for term in asked.terms if term not in terms and term not in around.titles]
    return (
        _logit(_span_score(candidate.spans)),
        _logit(-candidate.reading.no_answer),
        _logit(candidate.reading.relevance - asked.relevance),
        1 / max(hit.rank, 1),
        hit.scores.fused / asked.fused,
        hit.scores.vector or 0.0,
        *asked.coverage(lambda term: term in terms),
        asked.coverage(lambda term: term in terms or term in around.terms)[1],
        answer_type(asked.question, marked, marked=bool(candidate.spans)),
        min(count_words(marked), 10) / 10 if candidate.spans else 0.0,
        saturated(len(missing)),
        saturated(sum(term not in around.terms for term in missing)),
        *_contradictions(asked.claim, claim_of(candidate.quote.text), around),
    )


def _contradictions(asked: Claim, said: Claim, around: PassageText) -> tuple[float, ...]:
    """Names of the question that the passage does not have; those that neither sentence nor titles have, where the
    sentence names others; its figures that neither has, where the sentence has others; whether the question
    denies what the sentence does not, and the reverse; words of the question that have their opposite in the sentence.
    Counts are 0, 1/2, 3/4, …
    """
    names = [name for name in asked.names if name not in said.vocabulary and name not in around.titles]
    figures = set(asked.figures) - set(said.figures) - around.title_figures
    return (
        saturated(sum(name not in around.claim.vocabulary for name in asked.names)),
        saturated(len(names) if set(said.names) - asked.vocabulary else 0),
        saturated(len(figures) if set(said.figures) - set(asked.figures) else 0),
        float(bool(asked.denials) and not said.denials),
        float(bool(said.denials) and not asked.denials),
        saturated(opposites(asked, said)),
    )


def _span_score(spans: Sequence[SpanScore]) -> float:
    return spans[0].score if spans else -_LOGIT_MAX


def _logit(value: float) -> float:
    """Clipped to +-8 and divided by 4, so that weights are of like size."""
    return max(-_LOGIT_MAX, min(_LOGIT_MAX, value)) / 4


def scored_sentence(candidate: Candidate, score: float) -> ScoredSentence:
    """The candidate as assessments hold it, its answers marked in the quote's text."""
    shift = candidate.quote.hit.char_start - candidate.quote.start
    spans = tuple(AnswerSpan(span.start + shift, span.end + shift) for span in candidate.spans)
    return ScoredSentence(candidate.quote, score, spans)
