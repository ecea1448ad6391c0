"""Hand-written fakes that are fast and deterministic; each passes the contract suite of the part it stands for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from ingest.models import FloatArray, Pair, PreparedText, Reading, SpanScore, TextKind
from ingest.sentences import Span

_WORD = re.compile(r"[\u4e00-\u9fff]|\w+|[^\w\s]")


class HashingEncoder:
    """Bag-of-words vectors by feature hashing: texts that share words are near each other. One token a word."""

    def __init__(self, name: str = "hashing", revision: str | None = "1", dimensions: int = 64) -> None:
        self.name = name
        self.revision = revision or "1"
        self.dimensions = dimensions
        self.languages: tuple[str, ...] | None = None
        self.judged_languages: tuple[str, ...] | None = None

    def least_cosine(self, query: str) -> float:
        return -1.0

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        return [PreparedText(len(text) // 4 + 2, text) for text in texts]

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        texts = [one.content for one in prepared]
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, 0] = 0.1
            for word in _WORD.findall(text.lower()):
                digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
                vectors[row, int.from_bytes(digest, "big") % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return [[Span(*match.span()) for match in _WORD.finditer(text)] for text in texts]


class OverlapReader:
    """Reads by shared words: the word after the last one shared with the question is the answer, if any is shared.

    Its logits are as far from 0 as `sureness` where all or no words are shared.
    """

    def __init__(
        self,
        name: str = "overlap",
        languages: tuple[str, ...] | None = None,
        max_tokens: int = 64,
        sureness: float = 4.0,
    ) -> None:
        self.name = name
        self.revision = "1"
        self.languages = languages
        self.max_tokens = max_tokens
        self.sureness = sureness
        self.passages_read = 0

    def read(self, pairs: Sequence[Pair]) -> Sequence[Reading]:
        self.passages_read += len(pairs)
        return [self._reading(question, passage) for question, passage in pairs]

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        relevance = np.array([reading.relevance for reading in self.read(pairs)], dtype=np.float32)
        return 1 / (1 + np.exp(-relevance))

    def _reading(self, question: str, passage: str) -> Reading:
        asked = set(_WORD.findall(question.lower()))
        words = list(_WORD.finditer(passage))
        shared = [place for place, word in enumerate(words) if word[0].lower() in asked]
        share = len({words[place][0].lower() for place in shared}) / max(len(asked), 1)
        answers = [words[place + 1] for place in reversed(shared) if place + 1 < len(words)] or words[:1]
        places = dict.fromkeys(answer.span() for answer in answers)
        logit = self.sureness * (2 * share - 1)
        spans = [SpanScore(start, end, logit - rank) for rank, (start, end) in enumerate(places)]
        return Reading(logit, -logit, tuple(spans[:5]))
