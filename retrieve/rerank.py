"""Reranking: a model that reads query and passage together reorders the best fused candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ingest.models import FloatArray, ModelRuntime, PairScorer, Priority


class Reranker(Protocol):
    """Scores passages for a query. Thread-safe."""

    name: str

    def scores(self, query: str, passages: Sequence[str], *, timeout_s: float) -> FloatArray:
        """float32 array of shape (n_passages,), greater is better, in the order of `passages`.

        Raises `DeadlineExceeded` after `timeout_s`, `Overloaded` when too many pairs wait.
        """
        ...


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder, run by the shared model runtime."""

    def __init__(self, runtime: ModelRuntime, scorer: PairScorer) -> None:
        self._runtime = runtime
        self._scorer = scorer
        self.name = scorer.name

    def scores(self, query: str, passages: Sequence[str], *, timeout_s: float) -> FloatArray:
        pairs = [(query, passage) for passage in passages]
        return self._runtime.score(self._scorer, pairs, priority=Priority.QUERY, timeout_s=timeout_s)
