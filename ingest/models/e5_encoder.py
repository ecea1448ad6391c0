"""`multilingual-e5-small` from its packaged weights (`ingest.models.e5_weights`), for what other models cannot read."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ingest.models.e5_weights import SHA256, E5Weights, Matrix, Shape, Vocabulary, load_e5_weights
from ingest.models.encoder import FloatArray, PreparedText, TextKind, computes_bfloat16, one_thread
from ingest.sentences import Span

NAME = "multilingual-e5-small"
MEANS = Path(__file__).resolve().parents[2] / "data" / "models" / "multilingual-e5-small" / "means.json"
"""What texts of each kind have in common: the mean of their vectors, as `eval.fit_centring` writes it."""

_PROMPTS = {"query": "query: ", "document": "passage: "}
_DIMENSIONS = 384
_LEAST_COSINE = 0.2
"""The passage that answers had more in all of 250 questions (choose part of `drcd_dev`) and in 95 of 100 over product
documentation; of 4,000 vectors of the English model the nearest to a question had .13 in the median, .19 at most.
"""


class E5Encoder:
    """Texts in about a hundred languages to vectors in one space; loads its weights with the first text.

    All its vectors have a direction in common, which is taken from them, so that those of texts that have nothing to
    do with each other stand at right angles (Mu and Viswanath, "All-but-the-Top", ICLR 2018). Raises `Unavailable` as
    `load_e5_weights` does, with the first text.
    """

    name = NAME
    revision = SHA256[:16]
    dimensions = _DIMENSIONS
    languages: tuple[str, ...] | None = None
    judged_languages: tuple[str, ...] | None = None

    def __init__(
        self,
        *,
        device: str = "auto",
        dtype: str = "auto",
        load: Callable[[], E5Weights] = load_e5_weights,
        means: Path = MEANS,
    ) -> None:
        self._device, self._dtype, self._load = device, dtype, load
        self._means = {kind: np.array(mean, dtype=np.float32) for kind, mean in json.loads(means.read_text()).items()}
        self._loading = threading.Lock()
        self._loaded: _Loaded | None = None

    def least_cosine(self, query: str) -> float:
        return _LEAST_COSINE

    def prepare(self, texts: Sequence[str], kind: TextKind) -> list[PreparedText]:
        rows = self._model.tokeniser.ids([_PROMPTS[kind] + text for text in texts])
        return [PreparedText(len(row), row) for row in rows]

    def forward(self, prepared: Sequence[PreparedText], kind: TextKind, *, fast: bool) -> FloatArray:
        model = self._model
        with one_thread() if kind == "query" else nullcontext():
            vectors = model.network.vectors([one.content for one in prepared], fast=fast)
        vectors = vectors - self._means[kind]
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)

    def encode(self, texts: Sequence[str], kind: TextKind, *, fast: bool) -> FloatArray:
        if not texts:
            return np.empty((0, self.dimensions), dtype=np.float32)
        return self.forward(self.prepare(texts, kind), kind, fast=fast)

    def token_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        return self._model.tokeniser.spans(texts)

    @property
    def _model(self) -> _Loaded:
        with self._loading:
            if self._loaded is None:
                weights = self._load()
                self._loaded = _Loaded(
                    _Tokeniser(weights.vocabulary, weights.shape.positions),
                    _Network(weights, device=self._device, dtype=self._dtype),
                )
            return self._loaded


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokeniser: _Tokeniser
    network: _Network


class _Tokeniser:
    """SentencePiece's unigram model (Kudo, ACL 2018) over folded text, cut to the network's `positions`."""

    def __init__(self, vocabulary: Vocabulary, positions: int) -> None:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

        self._begin, self._end, self._positions = vocabulary.begin, vocabulary.end, positions
        self._folding = vocabulary.folding
        self._tokenizer = Tokenizer(models.Unigram(vocabulary.pieces, unk_id=vocabulary.unknown))
        self._tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
        self._tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Of each text, between the special tokens; at least these two."""
        folded = [text.translate(self._folding) for text in texts]
        inner = self._positions - 2
        return [[self._begin, *one.ids[:inner], self._end] for one in self._tokenizer.encode_batch_fast(folded)]

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text the code-point spans of its tokens, without special tokens, never truncated."""
        folded = [text.translate(self._folding) for text in texts]
        encoded = self._tokenizer.encode_batch(folded)
        return [self._unfolded(text, one.offsets) for text, one in zip(texts, encoded, strict=True)]

    @cached_property
    def _changing(self) -> re.Pattern[str]:
        """Characters that become none or several."""
        changing = [chr(character) for character, folded in self._folding.items() if len(folded) != 1]
        return re.compile(f"[{re.escape(''.join(changing))}]") if changing else re.compile("(?!)")

    def _unfolded(self, text: str, offsets: Sequence[tuple[int, int]]) -> list[Span]:
        """Places in `text`, ascending and without overlap; tokens of white space, and of no character, have none."""
        homes = list(range(len(text)))
        if self._changing.search(text):
            homes = [i for i, character in enumerate(text) for _ in self._folding.get(ord(character), character)]
        spans, last = [], 0
        for start, end in offsets:
            first, after = (max(last, homes[start]), homes[end - 1] + 1) if end > start else (0, 0)
            if after > first and not text[first:after].isspace():
                spans.append(Span(first, after))
                last = after
        return spans


class _Network:
    """The BERT encoder with mean pooling; its table of words stays packed."""

    def __init__(self, weights: E5Weights, *, device: str, dtype: str) -> None:
        import torch

        from ingest.models.packed_bert import PackedEncoder, can_pack

        self._torch, self._words = torch, weights.words
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        bert = _bert(weights.shape)
        found = {name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.tensors.items()}
        bert.load_state_dict(found, strict=False)  # all but the table of words
        self._bert = bert.to(device).eval()
        self._bfloat16 = dtype == "bfloat16" or (dtype == "auto" and computes_bfloat16(self._bert.device.type))
        precision = torch.bfloat16 if self._bfloat16 else torch.float32
        with torch.inference_mode():
            self._packed = PackedEncoder(bert, dtype=precision) if can_pack(self._bert) else None

    def vectors(self, ids: Sequence[Sequence[int]], *, fast: bool) -> FloatArray:
        """float32 of shape (n_texts, width), rows of length 1."""
        torch = self._torch
        words = torch.from_numpy(rows_of(self._words, ids))
        with torch.inference_mode():
            pooled = self._packed_vectors(words, ids) if fast and self._packed else self._plain(words, ids, fast=fast)
        return np.asarray(pooled.cpu().numpy(), dtype=np.float32)

    def _packed_vectors(self, words: Any, ids: Sequence[Sequence[int]]) -> Any:
        assert self._packed is not None
        places = iter(range(len(words)))
        rows = [[next(places) for _ in row] for row in ids]
        return self._packed.pooled(rows, pooling="mean", words=words)

    def _plain(self, words: Any, ids: Sequence[Sequence[int]], *, fast: bool) -> Any:
        torch, device = self._torch, self._bert.device
        lengths = [len(row) for row in ids]
        padded = torch.nn.utils.rnn.pad_sequence(words.split(lengths), batch_first=True).to(device)
        mask = (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long().to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast and self._bfloat16):
            states = self._bert(inputs_embeds=padded, attention_mask=mask).last_hidden_state.float()
        return torch.nn.functional.normalize((states * mask[:, :, None]).sum(1), dim=1)


def rows_of(words: Matrix, ids: Sequence[Sequence[int]]) -> FloatArray:
    """The table's row of every token of every text, float32 of shape (n_tokens, width)."""
    return words.rows(np.fromiter(chain.from_iterable(ids), np.int64))


def _bert(shape: Shape) -> Any:
    """A BERT encoder of this shape without pooler, and with a table of one word, which is not used."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=1,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.segments,
        layer_norm_eps=shape.eps,
        pad_token_id=0,
    )
    return BertModel(config, add_pooling_layer=False)
