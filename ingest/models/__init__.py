"""The model runtime and the models it runs (sentence-transformers)."""

from ingest.models.cross_encoder import CrossEncoderScorer, Pair, PairScorer
from ingest.models.encoder import Encoder, FloatArray, PreparedText, SentenceTransformerEncoder, TextKind
from ingest.models.joint_reader import JointReader
from ingest.models.reading import PassageReader, Reading, SpanScore
from ingest.models.runtime import ModelRuntime, Priority

__all__ = [
    "CrossEncoderScorer",
    "Encoder",
    "FloatArray",
    "JointReader",
    "ModelRuntime",
    "Pair",
    "PairScorer",
    "PassageReader",
    "PreparedText",
    "Priority",
    "Reading",
    "SentenceTransformerEncoder",
    "SpanScore",
    "TextKind",
]
