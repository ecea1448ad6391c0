"""The model runtime and the models it runs (sentence-transformers)."""

from ingest.models.by_script import TwoScriptEncoder
from ingest.models.cross_encoder import CrossEncoderScorer, Pair, PairScorer
from ingest.models.device import Device, device_of
from ingest.models.encoder import Encoder, FloatArray, PreparedText, SentenceTransformerEncoder, TextKind
from ingest.models.joint_reader import JointReader
from ingest.models.loading import load_embedder
from ingest.models.reading import PassageReader, Reading, SpanScore
from ingest.models.runtime import ModelRuntime
from ingest.models.waiting import Priority, arrives_now

__all__ = [
    "CrossEncoderScorer",
    "Device",
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
    "TwoScriptEncoder",
    "arrives_now",
    "device_of",
    "load_embedder",
]
