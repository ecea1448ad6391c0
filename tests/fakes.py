"""Hand-written fakes that are fast and deterministic; each passes the contract suite of the part it stands for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from ingest.models import FloatArray, TextKind
from ingest.sentences import Span

_WORD = re.compile(r"[\u4e00-\u9fff]|\w+|[^\w\s]")


class HashingEncoder:
    """Bag-of-words vectors by feature hashing: texts that share words are near each other. One token a word."""

    def __init__(self, name: str = "hashing", revision: str | None = "1", dimensions: int = 64) -> None:
        self.name = name
        self.revision = revision or "1"
        self.dimensions = dimensions
        self.languages: tuple[str, ...] | None = None

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, 0] = 0.1
            for word in _WORD.findall(text.lower()):
                digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
                vectors[row, int.from_bytes(digest, "big") % self.dimensions] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return [[Span(*match.span()) for match in _WORD.finditer(text)] for text in texts]
