"""A sentence-transformers embedding model: texts to vectors, and its tokeniser as a `TokenCounter`."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.errors import Unavailable
from ingest.models.profiles import profile_of
from ingest.sentences import Span

if TYPE_CHECKING:
    from ingest.models.packed_bert import PackedBert

_LOG = logging.getLogger(__name__)
FloatArray = NDArray[np.float32]
TextKind = Literal["query", "document"]
_TOKENISED_AT_ONCE = 32
_PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Under which names models keep their prompts, as sentence-transformers' `encode_query` and `encode_document` look."""

_PROBES = ("When does the LAST ferry leave, naïvely?", "港口 9", "")
_LEAST_COSINE = 0.9995
"""Of what a model's packed form makes of the probes, with what the model itself makes of them."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text as its model takes it: `tokens` long, special ones counted, and never longer than the model reads."""

    tokens: int
    content: Any


class Encoder(Protocol):
    """An embedding model in memory.

    `prepare` may be called by any thread; `forward` is called by one at a time (the runtime's worker), which is spared
    everything that is not the model's own arithmetic. `judged_languages` are those of `languages` in which its cosines
    are of the size that weights were fitted on.
    """

    name: str
    revision: str
    dimensions: int
    languages: tuple[str, ...] | None
    judged_languages: tuple[str, ...] | None

    def least_cosine(self, query: str) -> float:
        """From which cosine on a text may have to do with the query; -1 where nothing is known."""
        ...

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        """Each text tokenised, in the order of `texts`."""
        ...

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        """float32 array of shape (n_prepared, dimensions), rows of length 1; `fast` allows bfloat16 arithmetic, and
        sums in another order."""
        ...

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        """`forward` of `prepare`, for callers who have the model to themselves."""
        ...

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text the code-point spans of its tokens, without special tokens, never truncated."""
        ...


class SentenceTransformerEncoder:
    """Loads `name` (hub name, path, or the packaged model) on `device`; `dtype` is that of fast arithmetic.

    Queries and documents get the model's own prompts, where it has them. BERT models on a CPU are packed for fast
    arithmetic (`ingest.models.packed_bert`), unless that would change their vectors. Raises `Unavailable` when the
    model cannot be loaded: not there while offline, or damaged.
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
        self.languages = self.judged_languages = profile.languages
        self.revision = _revision(profile.source, model)
        self.dimensions = int(model.get_embedding_dimension() or 0)
        self._model = model
        self._torch = torch
        self._bfloat16 = dtype == "bfloat16" or (dtype == "auto" and computes_bfloat16(model.device.type))
        tokenizer = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
        self._tokenizer = tokenizer.__class__.from_str(tokenizer.to_str())
        # the packaged tokeniser truncates at 128 tokens, which would make every text look short
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._prompts = {kind: _prompt(model.prompts, names) for kind, names in _PROMPT_NAMES.items()}
        self._preparing = threading.Lock()  # the model's own tokeniser keeps its truncation in a shared state
        self._packed: PackedBert | None = None
        self._packed = self._proven_pack()

    def least_cosine(self, query: str) -> float:
        return -1.0

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))  # like lengths: little padding to undo
        prepared: dict[int, PreparedText] = {}
        for start in range(0, len(order), _TOKENISED_AT_ONCE):
            places = order[start : start + _TOKENISED_AT_ONCE]
            prepared.update(zip(places, self._tokenised([texts[place] for place in places], kind), strict=True))
        return [prepared[place] for place in range(len(texts))]

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        with one_thread() if kind == "query" else nullcontext():
            if fast and self._packed is not None:
                return self._packed.forward([one.content for one in prepared])
            return self._forward(self._batch(prepared, kind), kind, fast=fast)

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [[Span(start, end) for start, end in encoding.offsets] for encoding in encodings]

    @property
    def word_embeddings(self) -> Any:
        """The table of word embeddings (a torch module), for models on the same base to share; None if it has none."""
        transformer = getattr(self._model, "transformers_model", None)
        return transformer.get_input_embeddings() if transformer is not None else None

    def _forward(self, features: dict[str, Any], kind: TextKind, *, fast: bool) -> FloatArray:
        """By the model itself, whatever it is."""
        torch, device = self._torch, self._model.device
        features = {name: value.to(device) if torch.is_tensor(value) else value for name, value in features.items()}
        precision = torch.autocast(device.type, torch.bfloat16, enabled=fast and self._bfloat16)
        with torch.inference_mode(), precision:
            vectors = self._model(features, task=kind)["sentence_embedding"].float()
            vectors = torch.nn.functional.normalize(vectors[:, : self.dimensions], dim=1)
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    def _proven_pack(self) -> PackedBert | None:
        """The model's packed form, if there is one and it tells texts by the same tokens and vectors as the model."""
        from ingest.models.packed_bert import pack

        packed = pack(self._model, self._torch.bfloat16 if self._bfloat16 else self._torch.float32)
        if packed is None:
            return None
        texts = [*_PROBES, "word " * int(self._model.max_seq_length or 0)]
        features = self._features(texts, "query")
        lengths = features["attention_mask"].sum(1).tolist()
        expected = [row[:length] for row, length in zip(features["input_ids"].tolist(), lengths, strict=True)]
        if [one.content for one in self._token_ids(texts, "query")] == expected:
            probes = len(_PROBES)
            exact = self._forward(self._batch(self._token_ids(texts[:probes], "query"), "query"), "query", fast=False)
            least = float((packed.forward(expected[:probes]) * exact).sum(1).min())
            if least >= _LEAST_COSINE:
                return packed
        _LOG.info("embedding model %s is not packed: its vectors would not be the same", self.name)
        return None

    def _token_ids(self, texts: list[str], kind: TextKind) -> list[PreparedText]:
        """For packed models: the ids of each text with prompt and special tokens, the last of which is never cut."""
        prompt, most = self._prompts[kind] or "", int(self._model.max_seq_length or 0)
        encoded = self._tokenizer.encode_batch_fast([prompt + text for text in texts])
        ids = [one.ids if len(one.ids) <= most else [*one.ids[: most - 1], one.ids[-1]] for one in encoded]
        return [PreparedText(len(row), row) for row in ids]

    def _tokenised(self, texts: list[str], kind: TextKind) -> list[PreparedText]:
        """The texts with the model's prompt, tokenised, without padding; whole where the model's input is no tokens."""
        if self._packed is not None:
            return self._token_ids(texts, kind)
        features = self._features(texts, kind)
        if "attention_mask" not in features:  # static embeddings, for example: nothing to prepare
            return [PreparedText(len(text) // 4 + 2, text) for text in texts]
        kept = features["attention_mask"].bool()
        rows = []
        for row, mask in enumerate(kept):
            of_row = {name: value[row][mask] if _is_like(value, kept) else value for name, value in features.items()}
            rows.append(PreparedText(int(mask.sum()), of_row))
        return rows

    def _features(self, texts: list[str], kind: TextKind) -> dict[str, Any]:
        """What the model's first module makes of texts: tensors of shape (n_texts, longest), and marks for all."""
        with self._preparing:
            features: dict[str, Any] = self._model.preprocess(texts, prompt=self._prompts[kind], task=kind)
        return features

    def _batch(self, prepared: Sequence[PreparedText], kind: TextKind) -> dict[str, Any]:
        """The features of one forward: tensors of shape (n_prepared, longest), padded at the end."""
        first = prepared[0].content
        if isinstance(first, str):
            return self._features([one.content for one in prepared], kind)
        if isinstance(first, list):
            ids = [self._torch.tensor(one.content) for one in prepared]
            padded = self._torch.nn.utils.rnn.pad_sequence
            return {
                "input_ids": padded(ids, batch_first=True, padding_value=self._model.tokenizer.pad_token_id or 0),
                "attention_mask": padded([self._torch.ones_like(row) for row in ids], batch_first=True),
            }
        pad = {"input_ids": self._model.tokenizer.pad_token_id or 0}
        return {
            name: self._torch.nn.utils.rnn.pad_sequence(
                [one.content[name] for one in prepared], batch_first=True, padding_value=pad.get(name, 0)
            )
            if self._torch.is_tensor(value)
            else value
            for name, value in first.items()
        }


@contextmanager
def one_thread() -> Iterator[None]:
    """A question is too short to be shared: on a busy machine threads would wait for each other most of the time."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _prompt(prompts: Mapping[str, str | None], names: Sequence[str]) -> str | None:
    return next((prompts[name] for name in names if prompts.get(name)), None)


def _is_like(value: object, mask: Any) -> bool:
    return bool(getattr(value, "shape", None) == mask.shape)


def computes_bfloat16(device_type: str) -> bool:
    """Whether the hardware multiplies bfloat16 matrices natively; emulated it is slower than float32."""
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
