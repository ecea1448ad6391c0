"""Does the evidence contain the answer, and in which sentences? Scores sentences of the passages for a question.

Each sentence gets features; a logistic model, fitted by `eval.fit_extractive` and shipped as
`data/models/extractive.json`, turns them into a score, and the features of the best sentence into the confidence
that it answers the question. Questions in a script that the embedder cannot read use a second set of weights without
embeddings.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from generate.answer import AnswerSpan
from generate.clauses import can_answer
from generate.logistic import LogisticModel
from generate.passages import passage_text, sentence_terms
from ingest.generations import GenerationSpec
from ingest.models import Encoder, FloatArray, ModelRuntime, Priority
from ingest.sentences import Span, cjk_share
from retrieve import Hit
from retrieve.analysis import analyse_document, analyse_query
from retrieve.fusion import embedder_fits

FEATURES = (
    "cosine",
    "coverage",
    "rare_coverage",
    "context_coverage",
    "adjacent",
    "passage",
    "rank",
    "answer_type",
    "shape",
    "margin",
    "passage_cosine",
)
"""Order of the weights; see `_features` for what each is."""

_QUESTION_WORDS = (
    "a an the of in on at to for by with from and or as is are was were be been being do does did has have had can"
    " could will would should may might must i me my we us our you your it its they them their he she his her this that"
    " these those there what which who whom whose when where why how much many long often any some please tell give"
    " 的 了 吗 呢 是 在 有 和 与 或 我 你 他 她 它 们 这 那 什么 什 么 多少 多 少 几 谁 哪 哪里 哪个 哪些 里 个"
    " 为什么 为何 为 怎么 怎样 怎 如何 如 何时 何 时候 请问 请 问 可以 需要"
)
_EMBEDDED_SENTENCES_MAX = 24
_QUOTE_TOKENS_MAX = 60
_TERMS_MIN = 3
_CLAUSE_END = re.compile(r"(?<=[;；,，、：:|])\s*|\n")
_NUMBERS = (
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    r"|ninety|hundred|thousand|million|billion)\b|[一二三四五六七八九十百千万亿两]"
)
_UNITS_OF_TIME = (
    r"\b(?:second|minute|hour|day|weekday|week|weekend|month|year|decade|centur)(?:y|s|ies)?\b|[天周年]|小时|分钟|个月"
)
_NUMBER = re.compile(_NUMBERS, re.IGNORECASE)
_DURATION = re.compile(f"{_NUMBERS}|{_UNITS_OF_TIME}", re.IGNORECASE)
_TIME = re.compile(
    r"\b(?:1\d|20)\d\d\b|\d{1,2}:\d\d|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|noon|midnight)\b|\d[年月日点时]|世纪|星期"
    rf"|\d\s?(?:[ap]\.?m\b|o['’]clock)|{_UNITS_OF_TIME}",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<=[a-z0-9,;:)] )[A-Z][\w'-]+|[A-Z][\w'-]+ [A-Z][\w'-]+")
_SHORT_NAME = re.compile(
    r"\b(?!(?:The|An?|This|That|These|Those|There|It|He|She|They|We|You|In|On|At|By|For|From|No|Yes)\b)[A-Z][\w'’-]+"
)
_ASKS_DURATION = re.compile(r"\bhow long\b|多久|多长时间", re.IGNORECASE)
_ASKS_TIME = re.compile(
    r"\b(?:when|what (?:year|date|day|time|month|century)|which year)\b|何时|什么时候|哪一?年|几点|几月|哪一?天",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|far|tall|old|large|big|fast|high|deep|wide|often)"
    r"|what (?:percentage|number|amount|price|cost|rate))\b"
    r"|多少|几[个名人次艘条岁]|多[高长大远快深宽]",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(
    r"\b(?:who|whose|whom|where|which (?:city|country|person|company))\b|谁|哪[里儿位个]|何处|什么地方",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """Span `[start, end)` of the extracted text of `hit`'s version."""

    hit: Hit
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.hit.text[self.start - self.hit.char_start : self.end - self.hit.char_start]


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence (or the best clause of a very long one) with the probability in [0, 1] that it holds the answer.

    `spans` mark short answers in the quote's text, best first, where the assessor knows them.
    """

    quote: Quote
    score: float
    spans: tuple[AnswerSpan, ...] = ()

    @property
    def answer(self) -> str:
        """The short answer, in lower case; the whole text where none is marked."""
        text = self.quote.text
        return (text[self.spans[0].start : self.spans[0].end] if self.spans else text).casefold()


@dataclass(frozen=True, slots=True)
class Assessment:
    """Sentences by score, best first, and the confidence in [0, 1] that the evidence answers the question."""

    sentences: tuple[ScoredSentence, ...]
    confidence: float
    features: Mapping[str, float]


class Assessor(Protocol):
    """Judges evidence before anything is generated. Synchronous and thread-safe."""

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        """Sentences that overlap a quote of `without` are left out, as if they were not there."""
        ...


@dataclass(frozen=True, slots=True)
class AssessmentWeights:
    """`sentence` ranks sentences, `confidence` judges the best one; the `lexical_` pair serves without embeddings."""

    sentence: LogisticModel
    confidence: LogisticModel
    lexical_sentence: LogisticModel
    lexical_confidence: LogisticModel

    @classmethod
    def load(cls, path: Path) -> AssessmentWeights:
        """Reads the file that `eval.fit_extractive` writes. Raises `ValueError` when its features are not ours."""
        body = json.loads(path.read_text())
        if tuple(body["features"]) != FEATURES:
            raise ValueError(f"{path} was fitted on other features; fit it again with python -m eval.fit_extractive")
        return cls(**{name: LogisticModel.of(body[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    terms: tuple[str, ...]
    context: frozenset[str]
    rank: int
    tokens: int


class SentenceAssessor:
    """Scores sentences by embedding similarity, term coverage, the passage's place and the kind of thing asked for."""

    def __init__(
        self,
        runtime: ModelRuntime,
        encoder_for: Callable[[GenerationSpec], Encoder],
        weights: AssessmentWeights,
        *,
        timeout_s: float,
    ) -> None:
        self._runtime = runtime
        self._encoder_for = encoder_for
        self._weights = weights
        self._timeout_s = timeout_s

    def assess(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec, *, without: Collection[Quote] = ()
    ) -> Assessment:
        """Raises `DeadlineExceeded` and `Overloaded` as the model runtime does."""
        rows = [row for row in self.feature_rows(question, hits, spec) if not overlaps(row[0], without)]
        if not rows:
            return Assessment((), 0.0, {})
        lexical_only = not embedder_fits(question, languages=self._encoder_for(spec).judged_languages)
        ranker = self._weights.lexical_sentence if lexical_only else self._weights.sentence
        judge = self._weights.lexical_confidence if lexical_only else self._weights.confidence
        scored = sorted(
            ((ranker.probability(features), -place, quote, features) for place, (quote, features) in enumerate(rows)),
            key=lambda row: row[:2],
            reverse=True,
        )
        best = _with_margin(scored[0][3], scored[0][0] - (scored[1][0] if len(scored) > 1 else 0.0))
        sentences = tuple(ScoredSentence(quote, score) for score, _, quote, _ in scored)
        return Assessment(sentences, judge.probability(best), dict(zip(FEATURES, best, strict=True)))

    def feature_rows(
        self, question: str, hits: Sequence[Hit], spec: GenerationSpec
    ) -> list[tuple[Quote, tuple[float, ...]]]:
        """Candidate sentences in reading order of the passages, each with its features in the order of `FEATURES`."""
        terms = content_terms(question)
        encoder = self._encoder_for(spec)
        candidates = _shortlist(terms, _candidates(terms, hits, encoder))
        if not candidates:
            return []
        cosines = self._cosines(question, candidates, encoder)
        idf = idf_of([candidate.terms for candidate in candidates])
        return [
            (c.quote, _features(question, terms, c, hits, float(cosine), idf))
            for c, cosine in zip(candidates, cosines, strict=True)
        ]

    def _cosines(self, question: str, candidates: Sequence[_Candidate], encoder: Encoder) -> FloatArray:
        """float32 array of shape (n_candidates,); zeros where the embedder cannot read the question's script."""
        if not embedder_fits(question, languages=encoder.judged_languages):
            return np.zeros(len(candidates), dtype=np.float32)
        texts = [candidate.quote.text for candidate in candidates]
        vectors = self._runtime.embed(
            encoder, texts, kind="document", priority=Priority.QUERY, timeout_s=self._timeout_s
        )
        query = self._runtime.embed(
            encoder, [question], kind="query", priority=Priority.QUERY, timeout_s=self._timeout_s
        )[0]
        return np.asarray(vectors @ query, dtype=np.float32)


def overlaps(quote: Quote, others: Collection[Quote]) -> bool:
    """Whether the quote shares a part of the same version with one of the others."""
    return any(
        quote.hit.version_pk == other.hit.version_pk and quote.start < other.end and other.start < quote.end
        for other in others
    )


def content_terms(question: str) -> tuple[str, ...]:
    """The question's distinct terms in order, without those that only make it a question; all, if no other is left."""
    terms = tuple(dict.fromkeys(analyse_query(question)))
    return tuple(term for term in terms if term not in _question_terms()) or terms


@cache
def _question_terms() -> frozenset[str]:
    return frozenset(analyse_query(_QUESTION_WORDS))


def _candidates(question_terms: Sequence[str], hits: Sequence[Hit], encoder: Encoder) -> list[_Candidate]:
    """Sentences of the passages that say something, each once, in reading order; long ones cut to clauses."""
    seen: set[tuple[int, int]] = set()
    found = []
    for hit in hits:
        context = passage_text(hit).terms
        for span in _whole_sentences(hit):
            key = (hit.version_pk, hit.char_start + span.start)
            text = hit.text[span.start : span.end]
            if key in seen or not can_answer(hit.text, span):
                continue
            seen.add(key)
            cut, tokens = _best_clauses(text, span, question_terms, encoder)
            terms = sentence_terms(hit.text[cut.start : cut.end])
            if len(set(terms)) >= _TERMS_MIN:
                quote = Quote(hit, hit.char_start + cut.start, hit.char_start + cut.end)
                found.append(_Candidate(quote, terms, context, hit.rank, tokens))
    return found


def _whole_sentences(hit: Hit) -> list[Span]:
    """Sentences of the passage; the first one is left out where the passage begins in the middle of it."""
    spans = list(passage_text(hit).sentences)
    begins_inside = hit.char_start > 0 and hit.text[:1].islower() and cjk_share(hit.text[:40]) < 0.3
    return spans[1:] if begins_inside and len(spans) > 1 else spans


def _best_clauses(text: str, span: Span, question_terms: Sequence[str], encoder: Encoder) -> tuple[Span, int]:
    """The sentence, or of a sentence beyond 60 tokens the run of clauses that holds most terms of the question."""
    tokens = encoder.token_spans([text])[0]
    if len(tokens) <= _QUOTE_TOKENS_MAX:
        return span, len(tokens)
    bounds = sorted({0, len(text), *(match.end() for match in _CLAUSE_END.finditer(text))})
    starts = [token.start for token in tokens]
    sizes = [sum(1 for start in starts if start < bound) for bound in bounds]
    wanted = set(question_terms)
    best, best_key = (0, starts[_QUOTE_TOKENS_MAX]), (-1, 0)
    for first in range(len(bounds) - 1):
        last = max(
            (i for i in range(first + 1, len(bounds)) if sizes[i] - sizes[first] <= _QUOTE_TOKENS_MAX),
            default=first,
        )
        if last == first:
            continue
        held = len(wanted & set(analyse_document(text[bounds[first] : bounds[last]])))
        if (held, -first) > best_key:
            best, best_key = (bounds[first], bounds[last]), (held, -first)
    start, end = best
    clipped = text[start:end]
    start += len(clipped) - len(clipped.lstrip())
    end -= len(clipped) - len(clipped.rstrip())
    return Span(span.start + start, span.start + end), min(len(tokens), _QUOTE_TOKENS_MAX)


def _shortlist(terms: Sequence[str], candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """At most 24 candidates: those that share most terms with the question, earlier passages first."""
    wanted = set(terms)
    by_promise = sorted(
        range(len(candidates)),
        key=lambda i: (
            candidates[i].rank > 1,
            -len(wanted & set(candidates[i].terms)),
            candidates[i].rank,
            i,
        ),
    )
    return [candidates[i] for i in sorted(by_promise[:_EMBEDDED_SENTENCES_MAX])]


def idf_of(sentences: Sequence[Iterable[str]]) -> dict[str, float]:
    """ln(1 + n / df) over the terms of candidate sentences: what tells them apart weighs more."""
    frequencies = Counter(term for terms in sentences for term in set(terms))
    return {term: math.log(1 + len(sentences) / count) for term, count in frequencies.items()}


def _features(
    question: str,
    terms: Sequence[str],
    candidate: _Candidate,
    hits: Sequence[Hit],
    cosine: float,
    idf: Mapping[str, float],
) -> tuple[float, ...]:
    """In the order of `FEATURES`: cosine of sentence and question; share of the question's content terms in the
    sentence, plain, idf-weighted, and idf-weighted with the passage and its titles counted in; share of their
    neighbouring pairs; the passage's share of the best score; 1 / rank of the passage; whether the kind of thing asked
    for (time, number, name) is there (1), missing (-1) or unknown (0); length, up to 40 tokens; the margin over the
    next sentence (filled in later); cosine of passage and question.
    """
    held = set(candidate.terms)
    context = held | candidate.context
    unseen = max(idf.values(), default=1.0)
    weight = sum(idf.get(term, unseen) for term in terms) or 1.0
    pairs = list(pairwise(terms))
    held_pairs = set(pairwise(candidate.terms))
    hit = candidate.quote.hit
    top = max(other.scores.fused for other in hits) or 1.0
    return (
        cosine,
        sum(term in held for term in terms) / max(len(terms), 1),
        sum(idf.get(term, unseen) for term in terms if term in held) / weight,
        sum(idf.get(term, unseen) for term in terms if term in context) / weight,
        sum(pair in held_pairs for pair in pairs) / max(len(pairs), 1),
        hit.scores.fused / top,
        1 / candidate.rank,
        answer_type(question, candidate.quote.text),
        min(candidate.tokens, 40) / 40,
        0.0,
        hit.scores.vector or 0.0,
    )


def answer_type(question: str, text: str, *, marked: bool = False) -> float:
    """Whether the kind of thing asked for (duration, time, number, name) is in the text (1), missing (-1) or unknown
    (0). `marked`: the text is a short answer and no sentence, so that its first word has no capital but its own.
    """
    name = _SHORT_NAME if marked else _NAME
    for asks, shows in (
        (_ASKS_DURATION, _DURATION),
        (_ASKS_TIME, _TIME),
        (_ASKS_NUMBER, _NUMBER),
        (_ASKS_NAME, name),
    ):
        if asks.search(question):
            return 1.0 if shows.search(text) else -1.0
    return 0.0


def _with_margin(features: tuple[float, ...], margin: float) -> tuple[float, ...]:
    place = FEATURES.index("margin")
    return (*features[:place], margin, *features[place + 1 :])
