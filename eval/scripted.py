"""Scripted sentences about real passages, good ones and four kinds of bad ones: what the support checker is fitted and
measured on.

Good: quoted, lightly edited, or restated from a question and its answer. Bad: about another topic; a number or name
swapped; negated; plausible (true of another passage of the article, or with another answer of the same passage).
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eval.perturbations import edited, names_in, negated, restated, swapped
from ingest.credibility import Credibility
from ingest.sentences import cjk_share, sentence_spans
from retrieve import Hit, Scores

GoodKind = Literal["verbatim", "edited", "restated"]
BadKind = Literal["topic", "swapped", "negated", "plausible"]
GOOD_KINDS: tuple[GoodKind, ...] = ("verbatim", "edited", "restated")
BAD_KINDS: tuple[BadKind, ...] = ("topic", "swapped", "negated", "plausible")

_SENTENCE_CHARS = range(40, 320)
_CHINESE_SENTENCE_CHARS = range(18, 120)
_TRIES = 400


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph with its title and article, and what was asked of it: (question, short answer)."""

    text: str
    title: str
    article: str
    asked: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ScriptedSentence:
    """A sentence that claims to rest on `passage`; `kind` says whether and why it does not."""

    text: str
    passage: Passage
    kind: GoodKind | BadKind

    @property
    def good(self) -> bool:
        return self.kind in GOOD_KINDS


class Script:
    """Makes sentences of any kind from passages; equal seeds make equal sentences."""

    def __init__(self, passages: Sequence[Passage], seed: int) -> None:
        self._passages = passages
        self._rng = random.Random(seed)  # noqa: S311 - not a secret
        self._names = sorted({name for passage in passages for name in names_in(passage.text)})
        self._by_article: dict[str, list[Passage]] = {}
        for passage in passages:
            self._by_article.setdefault(passage.article, []).append(passage)
        self._makers: dict[str, Callable[[Passage], str | None]] = {
            "verbatim": self._quoted,
            "edited": lambda passage: self._changed(self._quoted(passage), edited),
            "restated": self._restated,
            "topic": lambda passage: self._good_elsewhere(passage, same_article=False),
            "swapped": self._swapped,
            "negated": lambda passage: self._changed(self._good(passage), negated),
            "plausible": self._plausible,
        }

    def sentence(self, kind: GoodKind | BadKind) -> ScriptedSentence:
        """A new sentence about a passage drawn at random."""
        for _ in range(_TRIES):
            passage = self._rng.choice(self._passages)
            text = self._makers[kind](passage)
            if text and (kind in GOOD_KINDS or text not in passage.text):
                return ScriptedSentence(text, passage, kind)
        raise ValueError(f"no {kind} sentence can be made of these {len(self._passages)} passages")

    def about(self, passage: Passage, kind: GoodKind) -> ScriptedSentence | None:
        """A good sentence about one passage; None where it has no material for that kind."""
        text = self._makers[kind](passage)
        return ScriptedSentence(text, passage, kind) if text else None

    def _good(self, passage: Passage) -> str | None:
        return self._makers[self._rng.choice(GOOD_KINDS)](passage)

    def _quoted(self, passage: Passage) -> str | None:
        allowed = _CHINESE_SENTENCE_CHARS if cjk_share(passage.text) > 0.3 else _SENTENCE_CHARS
        spans = [span for span in sentence_spans(passage.text) if len(span) in allowed]
        span = self._rng.choice(spans) if spans else None
        return passage.text[span.start : span.end] if span else None

    def _restated(self, passage: Passage) -> str | None:
        return restated(*self._rng.choice(passage.asked)) if passage.asked else None

    def _changed(self, sentence: str | None, change: Callable[[str, random.Random], str | None]) -> str | None:
        return change(sentence, self._rng) if sentence else None

    def _swapped(self, passage: Passage) -> str | None:
        if passage.asked and self._rng.random() < 0.4:
            question, answer = self._rng.choice(passage.asked)
            if _shape(answer) == "words":
                return None
            others = [a for p in self._passages for _, a in p.asked if _alike(a, answer) and a not in passage.text]
            return restated(question, self._rng.choice(others)) if others else None
        good = self._good(passage)
        near = names_in(passage.text) if self._rng.random() < 0.3 else self._names
        return swapped(good, near, self._rng) if good else None

    def _plausible(self, passage: Passage) -> str | None:
        """True of another passage of the article, or another answer of this passage to one of its questions."""
        if self._rng.random() < 0.5 or len(passage.asked) < 2:
            return self._good_elsewhere(passage, same_article=True)
        (question, right), (_, other) = self._rng.sample(passage.asked, 2)
        overlap = right.lower() in other.lower() or other.lower() in right.lower()
        return None if overlap else restated(question, other)

    def _good_elsewhere(self, passage: Passage, *, same_article: bool) -> str | None:
        others = self._by_article[passage.article] if same_article else self._passages
        other = self._rng.choice(others)
        fits = other is not passage and (other.article == passage.article) == same_article
        return self._good(other) if fits else None


def squad_passages(data: Path, articles: range) -> list[Passage]:
    """Paragraphs of the articles at these places of `squad2_dev_a`, in file order, with their answerable questions."""
    folder = data / "squad2_dev_a"
    corpus = list(_lines(folder / "corpus.jsonl.gz"))
    order = list(dict.fromkeys(line["meta"]["article"] for line in corpus))
    chosen = {order[index] for index in articles}
    return _passages(folder, [line for line in corpus if line["meta"]["article"] in chosen])


def chinese_passages(data: Path, name: str, share: tuple[float, float]) -> list[Passage]:
    """Paragraphs of `drcd_dev` or `cmrc2018_trial` between two shares of the file, with their questions."""
    corpus = list(_lines(data / name / "corpus.jsonl.gz"))
    return _passages(data / name, corpus[int(share[0] * len(corpus)) : int(share[1] * len(corpus))])


def _passages(folder: Path, corpus: Sequence[dict[str, Any]]) -> list[Passage]:
    asked: dict[str, list[tuple[str, str]]] = {}
    for question in _lines(folder / "questions.jsonl.gz"):
        if question["answerable"]:
            asked.setdefault(question["gold_doc_ids"][0], []).append((question["question"], question["answers"][0]))
    return [
        Passage(
            line["text"],
            line["title"] or "",
            line["meta"].get("article") or line["title"] or line["id"],
            tuple(asked.get(line["id"], ())),
        )
        for line in corpus
    ]


def passage_hit(passage: Passage) -> Hit:
    """The passage as if a search had found it."""
    return Hit(
        rank=1, chunk_id="1", document_id=passage.article, document_pk=1, version=1, version_pk=1, title=passage.title,
        page=None, heading=None, char_start=0, char_end=len(passage.text), text=passage.text, score=1.0,
        scores=Scores(None, None, 1.0, None, 0.5), language=None, document_date=None, credibility=Credibility(),
    )  # fmt: skip


def _alike(one: str, other: str) -> bool:
    """Both are numbers, names or plain words."""
    return one != other and _shape(one) == _shape(other)


def _shape(answer: str) -> str:
    if any(character.isdigit() for character in answer):
        return "number"
    return "name" if all(word[0].isupper() for word in answer.split() if len(word) > 3) else "words"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
