"""Which model reads and reranks: the packaged one, a CrossEncoder that the settings name, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from api.settings import SHIPPED_DATA, Settings
from generate.assessment import Assessor
from generate.chinese.assessor import ChineseAssessor
from generate.chinese.likeness import CosineLikeness
from generate.chinese.reader import ChineseWeights
from generate.extractive import ExtractiveGenerator
from generate.generators import Generator
from generate.reader import ReaderGenerator
from generate.reading import ReadingAssessor, ReadingWeights
from generate.settings import EMBEDDED_READER
from ingest.models import CrossEncoderScorer, Encoder, JointReader, ModelRuntime, PassageReader
from retrieve import CrossEncoderReranker, ReadingReranker, Reranker
from retrieve.settings import EMBEDDED_RERANKER

JUDGING_WEIGHTS = {
    name: SHIPPED_DATA / "models" / f"{name}.json"
    for name in ("extractive", "reading", "chinese_reading", "chinese_reading_lexical", "support")
}
"""Files of the weights that were fitted for judging evidence and answers."""

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


def assessor(
    settings: Settings,
    runtime: ModelRuntime,
    reader: PassageReader | None,
    multilingual: Encoder | None,
    sentences: Assessor,
) -> Assessor:
    """The reading models judge the evidence, unless the sentences are to be matched without them.

    `multilingual` is the packaged model that Chinese answers are judged with, None where it is not installed.
    """
    if settings.generator == "extractive":
        return sentences
    chinese = _chinese_assessor(settings, runtime, multilingual, sentences)
    if reader is None:
        return chinese
    weights = ReadingWeights.load(JUDGING_WEIGHTS["reading"])
    return ReadingAssessor(runtime, reader, weights, otherwise=chinese, timeout_s=settings.search_timeout_s)


def _chinese_assessor(
    settings: Settings, runtime: ModelRuntime, multilingual: Encoder | None, sentences: Assessor
) -> ChineseAssessor:
    if multilingual is None:
        weights = ChineseWeights.load(JUDGING_WEIGHTS["chinese_reading_lexical"])
        return ChineseAssessor(weights, likeness=None, otherwise=sentences)
    likeness = CosineLikeness(runtime, multilingual, timeout_s=settings.search_timeout_s)
    weights = ChineseWeights.load(JUDGING_WEIGHTS["chinese_reading"])
    return ChineseAssessor(weights, likeness=likeness, otherwise=sentences)


def judging_revision() -> str:
    """First 16 hex digits of the SHA-256 over the fitted weights that judge evidence and answers."""
    digest = hashlib.sha256()
    for path in JUDGING_WEIGHTS.values():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def embedded_generator(settings: Settings, reader: PassageReader | None) -> Generator:
    """The generator that needs no language model."""
    if reader is None or settings.generator != EMBEDDED_READER:
        return ExtractiveGenerator()
    return ReaderGenerator(f"{reader.name}@{reader.revision}")
