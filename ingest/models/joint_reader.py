"""The embedded reranker and reader: an adapter on the embedder's MiniLM, one forward for rank, refusal and spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ingest.errors import Unavailable
from ingest.models.adapter import Adapter, load_adapter
from ingest.models.base_model import base_folder, base_sha256, load_base, load_tokenizer
from ingest.models.by_script import TwoScriptEncoder
from ingest.models.cross_encoder import Pair
from ingest.models.encoder import Encoder, FloatArray, SentenceTransformerEncoder, computes_bfloat16
from ingest.models.reading import Reading
from ingest.models.spans import best_spans, without_overlap

if TYPE_CHECKING:
    from ingest.models.network import JointNetwork, Logits
    from ingest.models.packed_bert import PackedEncoder
    from ingest.models.windows import Window

_TOKENS_AT_ONCE = 2048
"""Tokens (padding counted) of one forward: windows of like length share it, and activations stay in the cache."""


class JointReader:
    """A `PassageReader` and a `PairScorer` in one; `load` reads an adapter folder and the base model that it names.

    The layers are merged copies of the base's, in bfloat16 where the hardware computes in it (21 MB), else in float32
    (42 MB), packed (`ingest.models.packed_bert`) on a CPU that can. `words` is the embedder's table of word embeddings
    (47 MB), shared where it runs on the same base.
    """

    def __init__(
        self, adapter: Adapter, base: Any, tokenizer: Any, *, device: str, bfloat16: bool, words: Any = None
    ) -> None:
        import torch

        from ingest.models.network import JointNetwork
        from ingest.models.windows import PairTokenizer

        config = adapter.config
        network = JointNetwork(base, config.rank)
        try:
            network.load_trained_state({name: tensor.float() for name, tensor in adapter.state.items()})
        except (ValueError, RuntimeError) as failure:
            raise Unavailable(
                f"adapter {config.name!r} does not fit its base {config.base!r}: {failure}", code="model_damaged"
            ) from failure
        self._packed = _merged(network, torch.bfloat16 if bfloat16 else torch.float32, words, device)
        self.name, self.revision = config.name, adapter.revision
        self.languages: tuple[str, ...] | None = config.languages
        self.max_tokens = config.max_tokens
        self._no_answer_bias = config.no_answer_bias
        self._network = network.to(device).eval()
        self._tokenizer = PairTokenizer(tokenizer, config.max_tokens)
        self._device, self._torch = device, torch

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        encoder: Encoder | None = None,
        device: str = "auto",
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> JointReader:
        """Reads the adapter, and the base; `encoder` lends its word embeddings if it is that base.

        Raises `Unavailable` when a file is missing or damaged, or the base model is not the one trained on.
        """
        import torch

        adapter = load_adapter(folder)
        source = _checked_base(adapter)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        bfloat16 = dtype == "bfloat16" or (dtype == "auto" and computes_bfloat16(torch.device(device).type))
        base = load_base(source, dtype=torch.float32)
        words = _shared_words(encoder, base)
        return cls(adapter, base, load_tokenizer(source), device=device, bfloat16=bfloat16, words=words)

    def read(self, pairs: Sequence[Pair]) -> list[Reading]:
        windows = self._tokenizer.windows(pairs)
        parts: list[list[Reading]] = [[] for _ in pairs]
        for batch in _batches(windows):
            for window, reading in zip(batch, self._forward(batch), strict=True):
                parts[window.pair].append(reading)
        return [_joined(readings) for readings in parts]

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """float32 array of shape (n_pairs,): the logistic function of the relevance, in [0, 1]."""
        relevance = np.array([reading.relevance for reading in self.read(pairs)], dtype=np.float64)
        return (1 / (1 + np.exp(-relevance))).astype(np.float32)

    def _forward(self, windows: Sequence[Window]) -> Iterator[Reading]:
        with self._torch.inference_mode():
            logits = self._logits(windows)
        relevance, no_answer, starts, ends = (
            part.cpu().numpy() for part in (logits.relevance, logits.no_answer, logits.starts, logits.ends)
        )
        for row, window in enumerate(windows):
            yield Reading(
                float(relevance[row]),
                float(no_answer[row]) + self._no_answer_bias,
                tuple(best_spans(window, starts[row], ends[row])),
            )

    def _logits(self, windows: Sequence[Window]) -> Logits:
        from ingest.models.windows import padded, segments_of

        ids, segments, mask = padded(windows, self._device)
        if self._packed is None:
            logits: Logits = self._network(ids, segments, mask)
            return logits
        states, batch = self._packed.states(
            [window.ids for window in windows], [segments_of(window) for window in windows]
        )
        return self._network.heads(batch.padded(states), segments, mask)


def _merged(network: JointNetwork, dtype: Any, words: Any, device: str) -> PackedEncoder | None:
    """Merges the adapters; the packed layers, which the network then does without, or None where it serves itself."""
    import torch

    from ingest.models.packed_bert import PackedEncoder, can_pack

    if device != "cpu" or not can_pack(network.encoder):
        network.merge(dtype, words)
        return None
    network.merge(torch.float32, words)
    packed = PackedEncoder(network.encoder, dtype=dtype)
    network.encoder = torch.nn.Identity()
    return packed


def _batches(windows: Sequence[Window]) -> Iterator[list[Window]]:
    """Windows of like length together, at most `_TOKENS_AT_ONCE` with their padding."""
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: len(window.ids)):
        if batch and (len(batch) + 1) * len(window.ids) > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _joined(readings: Sequence[Reading]) -> Reading:
    """The readings of one passage's windows as one: it is as relevant, and answers as well, as its best window."""
    if len(readings) == 1:
        return readings[0]
    return Reading(
        max(reading.relevance for reading in readings),
        min(reading.no_answer for reading in readings),
        tuple(without_overlap(span for reading in readings for span in reading.spans)),
    )


def _shared_words(encoder: Encoder | None, base: Any) -> Any:
    """The encoder's word embeddings if they equal the base's, else None."""
    import torch

    words = encoder.word_embeddings if isinstance(encoder, SentenceTransformerEncoder | TwoScriptEncoder) else None
    own = base.get_input_embeddings().weight
    if words is None or words.weight.shape != own.shape or not torch.equal(words.weight.cpu(), own):
        return None
    return words


def _checked_base(adapter: Adapter) -> Path:
    config = adapter.config
    folder = base_folder(config.base)
    if base_sha256(folder) != config.base_sha256:
        raise Unavailable(
            f"adapter {config.name!r} was trained on other weights of {config.base!r} than those in {folder}",
            code="model_damaged",
        )
    return folder
