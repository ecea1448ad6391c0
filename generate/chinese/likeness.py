"""How near in meaning a Chinese question and sentences are, by an embedding model that reads Chinese."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from generate.chinese.features import FloatArray
from ingest.caches import text_cache
from ingest.models import Encoder, ModelRuntime, Priority

_REMEMBERED = 4096


class CosineLikeness:
    """Cosines, as `generate.chinese.reader.Likeness`. Thread-safe; remembers the vectors of `remembered` sentences.

    `model` is the name of the model whose cosines they are.
    """

    def __init__(
        self, runtime: ModelRuntime, encoder: Encoder, *, timeout_s: float, remembered: int = _REMEMBERED
    ) -> None:
        self.model = encoder.name
        self._runtime = runtime
        self._encoder = encoder
        self._timeout_s = timeout_s
        self._vectors = text_cache(remembered)

    def __call__(self, question: str, sentences: Sequence[str]) -> FloatArray:
        """float32 of shape (n_sentences,). Raises as `ModelRuntime.embed` does."""
        query = self._runtime.embed(
            self._encoder, [question], kind="query", priority=Priority.QUERY, timeout_s=self._timeout_s
        )[0]
        return np.asarray(np.stack(self._of(sentences)) @ query, dtype=np.float32)

    def _of(self, sentences: Sequence[str]) -> list[FloatArray]:
        """Their vectors, in order."""
        known: dict[str, FloatArray | None] = {sentence: self._vectors.get(sentence) for sentence in sentences}
        new = [sentence for sentence, vector in known.items() if vector is None]
        if new:
            vectors = self._runtime.embed(
                self._encoder, new, kind="document", priority=Priority.QUERY, timeout_s=self._timeout_s
            )
            for sentence, vector in zip(new, vectors, strict=True):
                self._vectors.put(sentence, vector)
                known[sentence] = vector
        return [vector for sentence in sentences if (vector := known[sentence]) is not None]
