"""A small in-memory collection behind the service's own chunking, indexes and fusion, for fitting and training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.chunking import Chunk, ChunkShape, chunk_document, contextual_text
from ingest.credibility import Credibility
from ingest.models import Encoder, ModelRuntime, Priority
from ingest.parsing import Heading, ParsedDocument
from retrieve import Hit, Scores
from retrieve.analysis import analyse_document, analyse_query
from retrieve.candidates import Candidates
from retrieve.fusion import embedder_fits
from retrieve.fusion_weights import FusionTable, fuse_vector_and_lexical
from retrieve.lexical.base import LexicalDocument
from retrieve.lexical.registry import open_lexical_index
from retrieve.vector.registry import open_vector_index

_CANDIDATES = 100
_FUSION = FusionTable.load([Path(__file__).resolve().parent.parent / "data" / "models" / "fusion.json"])
_EMBED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Passage:
    """What is indexed under one document id; `headings` are those of `text`, where it is a whole document."""

    document_id: str
    title: str
    text: str
    headings: tuple[Heading, ...] = ()


class PassageIndex:
    """Chunks, vectors and both indexes of some passages, with the service's default settings and fusion."""

    def __init__(self, passages: Iterable[Passage], encoder: Encoder, runtime: ModelRuntime) -> None:
        self._encoder, self._runtime = encoder, runtime
        self._hits: list[Hit] = []
        texts: list[str] = []
        for key, passage in enumerate(passages):
            document = ParsedDocument(passage.text, passage.title, headings=passage.headings)
            for chunk in chunk_document(document, encoder, ChunkShape(200, 40)):
                body = passage.text[chunk.start : chunk.end]
                texts.append(contextual_text(passage.title, chunk.heading, body))
                self._hits.append(_hit(len(self._hits), key, passage, chunk, body))
        vectors, lexical = open_vector_index(dim=encoder.dimensions), open_lexical_index()
        keys = np.arange(len(texts), dtype=np.int64)
        vectors.add(keys, np.array([hit.version_pk for hit in self._hits], dtype=np.int64), self._embedded(texts))
        lexical.add(
            [LexicalDocument(k, self._hits[k].version_pk, tuple(analyse_document(t))) for k, t in enumerate(texts)]
        )
        self._vectors, self._lexical = vectors.publish(), lexical.publish()

    def search(self, question: str, *, top_k: int) -> list[Hit]:
        """The best fused chunks, best first; `score` and `scores.fused` are the fused score."""
        fits = embedder_fits(question, languages=self._encoder.languages)
        near = Candidates.none()
        if fits:
            query = self._runtime.embed(self._encoder, [question], kind="query", priority=Priority.QUERY)[0]
            near = self._vectors.search(query, top_k=_CANDIDATES).from_score(self._encoder.least_cosine(question))
        worded = self._lexical.search(analyse_query(question), top_k=_CANDIDATES)
        fusion, weights = _FUSION.fusion_of(self._encoder.name, "spread")
        fused = fuse_vector_and_lexical(
            near, worded, top_k=top_k, depth=_CANDIDATES, fusion=fusion, weights=weights, use_vector=fits
        )
        return [
            _ranked(
                self._hits[hit.chunk], rank, hit.score, hit.stages["vector"].score if "vector" in hit.stages else None
            )
            for rank, hit in enumerate(fused, start=1)
        ]

    def chunks_of(self, document_id: str) -> list[Hit]:
        """The document's chunks in reading order."""
        return [hit for hit in self._hits if hit.document_id == document_id]

    def _embedded(self, texts: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        parts = [texts[i : i + _EMBED_AT_ONCE] for i in range(0, len(texts), _EMBED_AT_ONCE)]
        return np.concatenate(
            [self._runtime.embed(self._encoder, part, kind="document", priority=Priority.BULK) for part in parts]
        )


def _hit(key: int, version: int, passage: Passage, chunk: Chunk, text: str) -> Hit:
    return Hit(
        rank=0,
        chunk_id=str(key),
        document_id=passage.document_id,
        document_pk=version,
        version=1,
        version_pk=version,
        title=passage.title,
        page=None,
        heading=chunk.heading,
        char_start=chunk.start,
        char_end=chunk.start + len(text),
        text=text,
        score=0.0,
        scores=Scores(None, None, 0.0, None, 0.5),
        language=None,
        document_date=None,
        credibility=Credibility(),
    )


def _ranked(hit: Hit, rank: int, score: float, cosine: float | None) -> Hit:
    return replace(hit, rank=rank, score=score, scores=replace(hit.scores, vector=cosine, fused=score))
