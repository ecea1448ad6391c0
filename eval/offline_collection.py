"""A collection of passages behind the service's own chunking, embedding and indexes, without catalogue and HTTP.

For benchmarks and fitting, which search the same passages again and again: vectors are kept on disk between runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.retrieval_sets import RetrievalSet
from ingest.chunking import ChunkShape, chunk_document, contextual_text
from ingest.models import Encoder, FloatArray, TextKind
from ingest.parsing import ParsedDocument
from ingest.settings import IngestSettings
from retrieve.analysis import analyse_document
from retrieve.lexical.base import LexicalDocument, LexicalSnapshot
from retrieve.lexical.registry import open_lexical_index
from retrieve.vector.base import VectorSnapshot
from retrieve.vector.registry import open_vector_index

_BATCH = 64


class EmbeddingCache:
    """Vectors on disk by model and texts; `directory` may be deleted at any time."""

    def __init__(self, directory: Path, encoder: Encoder) -> None:
        self._directory = directory
        self._encoder = encoder

    def vectors(self, name: str, texts: Sequence[str], kind: TextKind) -> FloatArray:
        """float32 array of shape (n_texts, dimensions), in the number format in which the service embeds them.

        `name` is the first part of the file's name, for people.
        """
        digest = hashlib.sha256(f"{self._encoder.name} {self._encoder.revision} {kind}".encode())
        for text in texts:
            digest.update(text.encode() + b"\0")
        path = self._directory / f"{name.replace(' ', '-')}-{kind}-{digest.hexdigest()[:16]}.npy"
        if path.exists():
            stored: FloatArray = np.load(path)
            return stored
        embedded = self._embed(texts, kind)
        self._directory.mkdir(parents=True, exist_ok=True)
        np.save(path, embedded)
        return embedded

    def _embed(self, texts: Sequence[str], kind: TextKind) -> FloatArray:
        """Texts of like length share a batch, so that little of it is padding."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors = np.empty((len(texts), self._encoder.dimensions), np.float32)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            vectors[rows] = self._encoder.encode([texts[row] for row in rows], kind, fast=kind == "document")
        return vectors


@dataclass(frozen=True, slots=True)
class OfflineCollection:
    """Both indexes over the chunks of a set; `passage_of[chunk]` is the id of the passage a chunk (0, 1, …) is of."""

    passage_of: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: FloatArray
    vector: VectorSnapshot
    lexical: LexicalSnapshot


def build_collection(
    passages: RetrievalSet, encoder: Encoder, cache: EmbeddingCache, *, lexical_engine: str = "tantivy"
) -> OfflineCollection:
    """Chunks with the default shape, embeds (or takes from the cache) and indexes all passages of the set."""
    defaults = IngestSettings.model_validate({})
    shape = ChunkShape(defaults.chunk_tokens, defaults.overlap_tokens)
    passage_of: list[str] = []
    texts: list[str] = []
    for passage in passages.passages:
        for chunk in chunk_document(ParsedDocument(passage.text, passage.title), encoder, shape):
            passage_of.append(passage.id)
            texts.append(contextual_text(passage.title, chunk.heading, passage.text[chunk.start : chunk.end]))
    vectors = cache.vectors(passages.name, texts, "document")
    keys = np.arange(len(texts), dtype=np.int64)
    near = open_vector_index(dim=encoder.dimensions)
    near.add(keys, keys, vectors)
    worded = open_lexical_index(lexical_engine)
    worded.add([LexicalDocument(k, k, tuple(analyse_document(text))) for k, text in enumerate(texts)])
    return OfflineCollection(tuple(passage_of), tuple(texts), vectors, near.publish(), worded.publish())
