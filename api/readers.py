"""Which model reads and reranks: the packaged one, a CrossEncoder that the settings name, or none."""

from __future__ import annotations

from collections.abc import Callable

from api.settings import SHIPPED_DATA, Settings
from generate.assessment import Assessor
from generate.extractive import ExtractiveGenerator
from generate.generators import Generator
from generate.reader import ReaderGenerator
from generate.reading import ReadingAssessor, ReadingWeights
from generate.settings import EMBEDDED_READER
from ingest.models import CrossEncoderScorer, Encoder, JointReader, ModelRuntime, PassageReader
from retrieve import CrossEncoderReranker, ReadingReranker, Reranker
from retrieve.settings import EMBEDDED_RERANKER

LoadReader = Callable[[Encoder | None], PassageReader]
"""Loads the reading model; the encoder may lend it what both have in common."""


def load_reader(settings: Settings) -> LoadReader:
    """Loads the packaged adapter on the device that the settings name."""
    folder = SHIPPED_DATA / "models" / "minilm-reader"
    return lambda encoder: JointReader.load(folder, encoder=encoder, device=settings.device)


def wants_reader(settings: Settings) -> bool:
    """Whether any stage reads with the embedded model."""
    return settings.reranker_model == EMBEDDED_RERANKER or settings.generator == EMBEDDED_READER


def reranker(settings: Settings, runtime: ModelRuntime, reader: PassageReader | None) -> Reranker | None:
    """The reranking stage; None while it is off. Raises `Unavailable` when a named model cannot be loaded."""
    if settings.reranker_model == EMBEDDED_RERANKER:
        assert reader is not None
        return ReadingReranker(
            runtime,
            reader,
            weight=settings.rerank_weight,
            first=settings.rerank_first,
            clear_margin=settings.rerank_clear_margin,
        )
    if settings.reranker_model:
        return CrossEncoderReranker(runtime, CrossEncoderScorer(settings.reranker_model, device=settings.device))
    return None


def assessor(settings: Settings, runtime: ModelRuntime, reader: PassageReader | None, sentences: Assessor) -> Assessor:
    """The reading model judges the evidence, unless the sentences are to be matched without it."""
    if reader is None or settings.generator == "extractive":
        return sentences
    weights = ReadingWeights.load(SHIPPED_DATA / "models" / "reading.json")
    return ReadingAssessor(runtime, reader, weights, otherwise=sentences, timeout_s=settings.search_timeout_s)


def embedded_generator(settings: Settings, reader: PassageReader | None) -> Generator:
    """The generator that needs no language model."""
    if reader is None or settings.generator != EMBEDDED_READER:
        return ExtractiveGenerator()
    return ReaderGenerator(f"{reader.name}@{reader.revision}")
