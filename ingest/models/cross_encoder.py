"""A sentence-transformers CrossEncoder: (query, passage) pairs to relevance scores."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ingest.errors import Unavailable
from ingest.models.encoder import FloatArray

Pair = tuple[str, str]


class PairScorer(Protocol):
    """A model that reads a query and a passage together. Called by one thread at a time (the runtime's worker)."""

    name: str

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """float32 array of shape (n_pairs,); greater is more relevant, in [0, 1] for models with one output."""
        ...


class CrossEncoderScorer:
    """Loads any CrossEncoder by hub name or path. Raises `Unavailable` when it cannot be loaded."""

    def __init__(self, name: str, *, device: str = "auto") -> None:
        from sentence_transformers import CrossEncoder

        try:
            self._model = CrossEncoder(name, device=None if device == "auto" else device)
        except (OSError, ValueError, RuntimeError) as failure:
            raise Unavailable(
                f"reranker {name!r} cannot be loaded: {failure}; give a path, or allow access to the model hub",
                code="model_unavailable",
            ) from failure
        self.name = name
        self._one_at_a_time = threading.Lock()  # its tokeniser keeps its padding in a shared state

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        with self._one_at_a_time:
            scores = self._model.predict(list(pairs), batch_size=max(1, len(pairs)), show_progress_bar=False)
        return np.asarray(scores, dtype=np.float32).reshape(len(pairs), -1)[:, 0]
