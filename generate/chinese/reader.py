"""Reads answers in Chinese passages without a language model: every span of the likeliest sentences gets a probability.

The packaged encoder has no Chinese words. What takes its place is a network of one hidden layer over the features of
`generate.chinese.features`, fitted by `eval.fit_chinese_reading` and shipped as `data/models/chinese_reading.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from generate.chinese.features import COLUMNS, FloatArray, Terms, held_share, pair_share, span_features, terms_of
from generate.chinese.questions import Focus, focus_of
from generate.chinese.spans import Places, places_of
from generate.chinese.text import folded
from generate.clauses import can_answer
from generate.logistic import LogisticModel
from ingest.sentences import Span, sentence_spans
from retrieve import Hit

SENTENCES_MAX = 8
"""Sentences whose spans are looked at: the likeliest."""

COMPARED_MAX = 12
"""Sentences whose meaning is compared with the question's: those that share most words with it."""

Likeness = Callable[[str, Sequence[str]], FloatArray]
"""How near in meaning a question and each of some sentences are: float32 of shape (n_sentences,), cosines; may be asked
by several threads.
"""

_SENTENCE_CHARS_MAX = 240
_LENGTH_MAX = 80
_COSINE_PROMISE = 3.0


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a hit (or a piece of a very long one): its place in `hit.text`, and what holds for all its spans,
    in the order of `generate.chinese.features.SENTENCE_FEATURES`.
    """

    hit: Hit
    place: Span
    text: str
    shared: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The likeliest sentences with their spans; `features` is a float32 array of shape (n_spans, COLUMNS), `owner` the
    index of the sentence of each span, in the order of the sentences and their places.
    """

    focus: Focus
    sentences: tuple[Sentence, ...]
    places: tuple[Places, ...]
    features: FloatArray
    owner: np.ndarray[tuple[int], np.dtype[np.int64]]

    def span(self, row: int) -> tuple[Sentence, Span]:
        """The sentence of a row of the features, and the place of its span in the hit's text."""
        sentence = self.sentences[self.owner[row]]
        within = row - int(np.searchsorted(self.owner, self.owner[row]))
        places = self.places[self.owner[row]]
        shift = sentence.place.start
        return sentence, Span(shift + int(places.start[within]), shift + int(places.end[within]))


@dataclass(frozen=True, slots=True, eq=False)
class SpanNetwork:
    """relu(x W + b) v: float32 arrays of shapes (COLUMNS, hidden), (hidden,) and (hidden,)."""

    weights: FloatArray
    bias: FloatArray
    output: FloatArray

    def logits(self, features: FloatArray) -> FloatArray:
        """float32 array of shape (n_spans,)."""
        scores: FloatArray = np.maximum(features @ self.weights + self.bias, 0) @ self.output
        return scores


@dataclass(frozen=True, slots=True)
class ChineseWeights:
    """`spans` ranks spans, `confidence` judges the best quote."""

    spans: SpanNetwork
    confidence: LogisticModel

    @classmethod
    def load(cls, path: Path) -> ChineseWeights:
        """Reads the file that `eval.fit_chinese_reading` writes. Raises `ValueError` when its features are not ours."""
        body = json.loads(path.read_text())
        if body["columns"] != COLUMNS:
            raise ValueError(
                f"{path} was fitted on other features; fit it again with python -m eval.fit_chinese_reading"
            )
        arrays = (np.array(body["spans"][name], dtype=np.float32) for name in ("weights", "bias", "output"))
        return cls(SpanNetwork(*arrays), LogisticModel.of(body["confidence"]))


def read(
    question: str, hits: Sequence[Hit], likeness: Likeness | None = None, *, passages_alike: bool = False
) -> Read | None:
    """The spans of the likeliest sentences of the hits; None where no sentence holds one. Raises what `likeness` does;
    without it the cosines of sentences are 0, and those of passages unless `passages_alike`: the hits were found by
    vectors of the same model.
    """
    focus = focus_of(question)
    terms, sentences = _likeliest(question, focus, hits, likeness, passages_alike=passages_alike)
    owners: list[int] = []
    places, parts = [], []
    for index, sentence in enumerate(sentences):
        found = places_of(sentence.text)
        places.append(found)
        if len(found):
            parts.append(span_features(focus, terms, sentence.text, sentence.shared, found))
            owners += [index] * len(found)
    if not parts:
        return None
    return Read(focus, sentences, tuple(places), np.concatenate(parts), np.array(owners, dtype=np.int64))


def _likeliest(
    question: str, focus: Focus, hits: Sequence[Hit], likeness: Likeness | None, *, passages_alike: bool
) -> tuple[Terms, tuple[Sentence, ...]]:
    passages = [(hit, folded(hit.text), list(_pieces(hit.text))) for hit in hits]
    terms = terms_of(focus, [text[s.start : s.end] for _, text, places in passages for s in places])
    top = max((hit.scores.fused for hit in hits), default=0.0) or 1.0
    found: list[tuple[float, Sentence]] = []
    for hit, text, places in passages:
        title = folded(f"{hit.title or ''}\n{hit.heading or ''}\n")
        passage = held_share(terms, title + text)
        for i, place in enumerate(places):
            if not can_answer(hit.text, place):
                continue
            own = text[place.start : place.end]
            around = text[places[max(0, i - 1)].start : places[min(len(places) - 1, i + 1)].end]
            held, near, pairs = held_share(terms, own), held_share(terms, around), pair_share(focus, own)
            shared = (
                held,
                near,
                passage,
                held_share(terms, title + own),
                pairs,
                1 / max(hit.rank, 1),
                hit.scores.fused / top,
                float(i == 0),
                min(len(own), _LENGTH_MAX) / _LENGTH_MAX,
            )
            promise = 2 * held + near / 2 + passage + pairs + 1 / (2 * max(hit.rank, 1))
            found.append((promise, Sentence(hit, place, own, shared)))
    found.sort(key=lambda one: -one[0])
    return terms, _compared(question, found[:COMPARED_MAX], likeness, passages_alike=passages_alike)[:SENTENCES_MAX]


def _compared(
    question: str, found: Sequence[tuple[float, Sentence]], likeness: Likeness | None, *, passages_alike: bool
) -> tuple[Sentence, ...]:
    """The sentences with their cosines, best first."""
    if not found:
        return ()
    texts = [sentence.hit.text[sentence.place.start : sentence.place.end] for _, sentence in found]
    cosines = np.zeros(len(found)) if likeness is None else likeness(question, texts)
    lead = cosines - cosines.max()
    order = sorted(range(len(found)), key=lambda i: -(found[i][0] + _COSINE_PROMISE * cosines[i]))
    compared = []
    for i in order:
        _, one = found[i]
        passage = (one.hit.scores.vector or 0.0) if passages_alike else 0.0
        compared.append(replace(one, shared=(*one.shared, float(cosines[i]), float(lead[i]), passage)))
    return tuple(compared)


def _pieces(text: str) -> Iterator[Span]:
    """Sentences; those beyond 240 characters in pieces."""
    for sentence in sentence_spans(text):
        for start in range(sentence.start, sentence.end, _SENTENCE_CHARS_MAX):
            yield Span(start, min(start + _SENTENCE_CHARS_MAX, sentence.end))
