"""Chunks and questions for the benchmarks of indexes: real ones, and as many more as are wanted, made from them.

No public set at hand has a million chunks. What is made from real ones keeps what decides speed and recall: how near
neighbours are to questions (reported beside the real figures), and how often each term occurs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from eval.offline_collection import EmbeddingCache
from eval.retrieval_sets import RetrievalSet, fitting_sets, report_sets
from ingest.chunking import ChunkShape, chunk_document, contextual_text
from ingest.models import Encoder, FloatArray, SentenceTransformerEncoder
from ingest.parsing import ParsedDocument
from ingest.settings import IngestSettings

_MODEL = "all-MiniLM-L6-v2"
_NEIGHBOURS = 10
_QUESTIONS_PER_SET = 150
_SLICE = 50_000


@dataclass(frozen=True, slots=True)
class RealTexts:
    """Texts of distinct real chunks, and real questions."""

    texts: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RealData(RealTexts):
    """With their vectors, float32 of shape (n, dim)."""

    vectors: FloatArray
    question_vectors: FloatArray


def load_texts(data: Path) -> RealTexts:
    """All passages of the question sets in `data`, chunked as the service does."""
    encoder = SentenceTransformerEncoder(_MODEL)
    texts: dict[str, None] = {}
    questions: dict[str, None] = {}
    for part in _parts(data):
        texts |= dict.fromkeys(_chunks(part, encoder))
        questions |= dict.fromkeys(_asked(part)[:_QUESTIONS_PER_SET])
    return RealTexts(tuple(texts), tuple(questions))


def load_real(data: Path, cache: Path) -> RealData:
    """All passages of the question sets in `data`, chunked and embedded as the service does. It takes minutes, once."""
    encoder = SentenceTransformerEncoder(_MODEL)
    embeddings = EmbeddingCache(cache, encoder)
    texts: dict[str, FloatArray] = {}
    questions: dict[str, FloatArray] = {}
    for part in _parts(data):
        chunks = _chunks(part, encoder)
        texts |= zip(chunks, embeddings.vectors(part.name, chunks, "document"), strict=True)
        asked = _asked(part)
        vectors = embeddings.vectors(part.name, asked, "query")
        questions |= dict(list(zip(asked, vectors, strict=True))[:_QUESTIONS_PER_SET])
    return RealData(tuple(texts), tuple(questions), np.stack(list(texts.values())), np.stack(list(questions.values())))


def _parts(data: Path) -> list[RetrievalSet]:
    return [*report_sets(data), *fitting_sets(data)]


def _asked(part: RetrievalSet) -> list[str]:
    return [question.text for question in part.questions]


def _chunks(part: RetrievalSet, encoder: Encoder) -> list[str]:
    defaults = IngestSettings.model_validate({})
    shape = ChunkShape(defaults.chunk_tokens, defaults.overlap_tokens)
    return [
        contextual_text(passage.title, chunk.heading, passage.text[chunk.start : chunk.end])
        for passage in part.passages
        for chunk in chunk_document(ParsedDocument(passage.text, passage.title), encoder, shape)
    ]


def synthetic_vectors(real: FloatArray, count: int, *, noise: float = 0.02, seed: int = 1) -> Iterator[FloatArray]:
    """`count` unit vectors around real ones, 50,000 at a time: between one and a neighbour of it, with noise added.

    A vector is (1 - t) a + t b + e, normalised: a real, b one of its ten nearest, t uniform in [0, 0.5], e normal with
    standard deviation `noise` in every dimension (a length of about 0.39 in 384 dimensions).
    """
    random = np.random.default_rng(seed)
    index = faiss.IndexFlatIP(real.shape[1])
    index.add(real)
    near = index.search(real, _NEIGHBOURS + 1)[1][:, 1:]
    for start in range(0, count, _SLICE):
        size = min(_SLICE, count - start)
        rows = random.integers(0, len(real), size)
        others = near[rows, random.integers(0, _NEIGHBOURS, size)]
        share = random.uniform(0, 0.5, (size, 1)).astype(np.float32)
        vectors = (1 - share) * real[rows] + share * real[others]
        vectors += noise * random.standard_normal(vectors.shape, dtype=np.float32)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def synthetic_terms(real: Sequence[tuple[str, ...]], count: int, *, seed: int = 1) -> Iterator[tuple[str, ...]]:
    """`count` chunks of terms: the first half of one real chunk, then the second half of another."""
    random = np.random.default_rng(seed)
    for one, other in random.integers(0, len(real), (count, 2)):
        first, second = real[one], real[other]
        yield (*first[: len(first) // 2], *second[len(second) // 2 :])


class Nearest:
    """The true nearest vectors of some questions, found as the vectors come by. `top_k` best each."""

    def __init__(self, questions: FloatArray, top_k: int = 10) -> None:
        self._questions = questions
        self._top_k = top_k
        self.scores = np.full((len(questions), top_k), -2, np.float32)
        self.rows: NDArray[np.int64] = np.full((len(questions), top_k), -1, np.int64)
        self._seen = 0

    def add(self, vectors: FloatArray) -> None:
        scores = np.concatenate([self.scores, self._questions @ vectors.T], axis=1)
        own = np.arange(self._seen, self._seen + len(vectors))
        rows = np.concatenate([self.rows, np.broadcast_to(own, (len(self._questions), len(own)))], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self._top_k]
        self.scores, self.rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
        self._seen += len(vectors)


def quantiles(values: NDArray[np.float32]) -> list[float]:
    """The tenth, fiftieth and ninetieth percentile."""
    return [round(float(one), 3) for one in np.quantile(values, (0.1, 0.5, 0.9))]
