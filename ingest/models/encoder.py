"""A sentence-transformers embedding model: texts to vectors, and its tokeniser as a `TokenCounter`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.errors import Unavailable
from ingest.models.profiles import profile_of
from ingest.sentences import Span

FloatArray = NDArray[np.float32]
TextKind = Literal["query", "document"]


class Encoder(Protocol):
    """An embedding model in memory. `encode` is called by one thread at a time (the runtime's worker)."""

    name: str
    revision: str
    dimensions: int
    languages: tuple[str, ...] | None

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        """float32 array of shape (n_texts, dimensions), rows of length 1; `fast` allows bfloat16 arithmetic."""
        ...

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text the code-point spans of its tokens, without special tokens, never truncated."""
        ...


class SentenceTransformerEncoder:
    """Loads `name` (hub name, path, or the packaged model) on `device`; `dtype` is that of bulk embedding.

    Queries and documents get the model's own prompts, where it has them. Raises `Unavailable` when the model cannot be
    loaded: not there while offline, or damaged.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        languages: str = "auto",
    ) -> None:
        import torch  # takes seconds; a command that loads no model should not pay for it
        from sentence_transformers import SentenceTransformer

        profile = profile_of(name, languages)
        try:
            model = SentenceTransformer(profile.source, revision=revision, device=None if device == "auto" else device)
        except (OSError, ValueError, RuntimeError) as failure:
            raise Unavailable(
                f"embedding model {name!r} cannot be loaded: {failure}; give a path, or allow access to the model hub",
                code="model_unavailable",
            ) from failure
        model.eval()
        self.name = name
        self.languages = profile.languages
        self.revision = _revision(profile.source, model)
        self.dimensions = int(model.get_embedding_dimension() or 0)
        self._model = model
        self._torch = torch
        self._bfloat16 = dtype == "bfloat16" or (dtype == "auto" and _computes_bfloat16(model.device.type))
        self._tokenizer = model.tokenizer.backend_tokenizer.__class__.from_str(
            model.tokenizer.backend_tokenizer.to_str()
        )
        # the packaged tokeniser truncates at 128 tokens, which would make every text look short
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with self._torch.autocast(self._model.device.type, self._torch.bfloat16, enabled=fast and self._bfloat16):
            vectors = encode(
                list(texts),
                batch_size=max(1, len(texts)),
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return np.asarray(vectors, dtype=np.float32)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[Span(start, end) for start, end in encoding.offsets] for encoding in encodings]


def _computes_bfloat16(device_type: str) -> bool:
    import torch

    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _revision(source: str, model: object) -> str:
    """Identity of the weights: the hub's commit, or the first 16 hex digits of the weight files' SHA-256."""
    folder = Path(source)
    if not folder.is_dir():
        config = getattr(getattr(model, "transformers_model", None), "config", None)
        return str(getattr(config, "_commit_hash", None) or "unknown")
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".safetensors", ".bin", ".json", ".txt"}:
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as weights:
                digest.update(hashlib.file_digest(weights, "sha256").digest())
    return digest.hexdigest()[:16]
