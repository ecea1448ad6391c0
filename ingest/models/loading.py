"""Embedding models by name."""

from __future__ import annotations

from ingest.models import e5_encoder
from ingest.models.by_script import TwoScriptEncoder
from ingest.models.encoder import Encoder, SentenceTransformerEncoder
from ingest.models.profiles import JOINT


def load_embedder(
    name: str, *, revision: str | None = None, device: str = "auto", dtype: str = "auto", languages: str = "auto"
) -> Encoder:
    """The model of that name: a hub name, a path, a packaged one, or `A+B` for A beside B (`TwoScriptEncoder`).

    `revision` and `languages` are those of A. Raises `Unavailable` when a model cannot be loaded, or two have not the
    same number of dimensions.
    """
    latin, joint, other = name.partition(JOINT)
    if joint:
        first = load_embedder(latin, revision=revision, device=device, dtype=dtype, languages=languages)
        return TwoScriptEncoder(first, load_embedder(other, device=device, dtype=dtype))
    if name == e5_encoder.NAME:
        return e5_encoder.E5Encoder(device=device, dtype=dtype)
    return SentenceTransformerEncoder(name, revision=revision, device=device, dtype=dtype, languages=languages)
