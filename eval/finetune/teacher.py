"""A larger encoder that teaches: trained as the student is, then asked about more pairs than anyone labelled.

Distillation (Hinton et al., 2015). The teacher reads the student's windows token by token: both have the same word
pieces, in another order of ids, so what it says of a token is a target for the same token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from eval.finetune.batches import Opinion, Prepared
from ingest.errors import Unavailable
from ingest.models.network import JointNetwork, Logits
from ingest.models.windows import Window, padded

_AT_ONCE = 16
_SHARD = 500
_KINDS = ("bert", "mpnet")
_FROZEN = 1 / 3
"""Share of the layers, the lowest ones, that get no training: a sixth of the time saved."""


class _Translated(nn.Module):
    """An encoder behind BERT's interface and vocabulary; `ids` gives its id of each of the student's."""

    def __init__(self, model: Any, ids: Tensor) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.ids: Tensor
        self.register_buffer("ids", ids, persistent=False)

    @property
    def encoder(self) -> Any:
        """The stack of layers."""
        return self.model.encoder

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Any:
        ids = self.ids[input_ids].masked_fill(attention_mask == 0, self.config.pad_token_id)
        segments = {"token_type_ids": token_type_ids} if getattr(self.config, "type_vocab_size", 0) > 1 else {}
        return self.model(input_ids=ids, attention_mask=attention_mask, **segments)


def load_teacher(source: str, vocabulary: dict[str, int], *, rank: int, dtype: torch.dtype) -> JointNetwork:
    """`source` (a hub name or folder of a BERT or MPNet model) with untrained adapters and heads, reading the
    student's `vocabulary`. Raises `Unavailable` when it cannot be loaded, is another kind of model, or has other word
    pieces.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    try:
        kind = AutoConfig.from_pretrained(source).model_type
        if kind not in _KINDS:
            raise ValueError(f"a model of kind {kind!r}, not {' or '.join(_KINDS)}")
        tokenizer = AutoTokenizer.from_pretrained(source)
        model = AutoModel.from_pretrained(
            source, attn_implementation="eager", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, dtype=dtype
        )
    except (OSError, ValueError) as failure:
        raise Unavailable(f"teacher {source!r} cannot be loaded: {failure}", code="model_unavailable") from failure
    network = JointNetwork(_Translated(model, _ids(source, tokenizer, vocabulary)), rank)
    layers = network.encoder.encoder.layer
    for layer in layers[: int(len(layers) * _FROZEN)]:
        layer.requires_grad_(False)
    return network


def _ids(source: str, tokenizer: Any, vocabulary: dict[str, int]) -> Tensor:
    own = tokenizer.get_vocab()
    special = {"[CLS]": tokenizer.cls_token, "[SEP]": tokenizer.sep_token, "[PAD]": tokenizer.pad_token}
    ids = torch.full((max(vocabulary.values()) + 1,), own[tokenizer.unk_token])
    missing = 0
    for piece, place in vocabulary.items():
        known = own.get(special.get(piece, piece))
        missing += known is None
        ids[place] = own[tokenizer.unk_token] if known is None else known
    if missing > len(vocabulary) // 100:
        raise Unavailable(f"teacher {source!r} lacks {missing} of the student's word pieces", code="model_unavailable")
    return ids


class Teacher:
    """A trained network that is asked from now on; a CPU reads `threads` batches at a time."""

    def __init__(self, network: JointNetwork, *, device: str = "cpu", threads: int = 2) -> None:
        digest = hashlib.sha256()
        for name, tensor in sorted(network.trained_state().items()):
            digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
        self.revision = digest.hexdigest()
        network.fold()
        self._network = network.to(device).eval()
        self._device, self._threads = device, threads if device == "cpu" else 1

    def judged(self, prepared: Sequence[Prepared], folder: Path) -> list[Prepared]:
        """The examples with an opinion of every window; those in `folder` are read, the others are added to it."""
        folder.mkdir(parents=True, exist_ok=True)
        shards = [prepared[begin : begin + _SHARD] for begin in range(0, len(prepared), _SHARD)]
        with ThreadPoolExecutor(self._threads, initializer=torch.set_num_threads, initargs=(1,)) as threads:
            return [
                one
                for shard in track(shards, "asking the teacher", console=Console(stderr=True))
                for one in self._judge(shard, folder, threads)
            ]

    def _judge(self, shard: Sequence[Prepared], folder: Path, threads: ThreadPoolExecutor) -> Iterator[Prepared]:
        windows = [window for one in shard for window in one.windows]
        digest = hashlib.sha256(self.revision.encode() + repr([window.ids for window in windows]).encode())
        path = folder / f"{digest.hexdigest()[:16]}.npz"
        if not path.is_file():
            _write(path, self._opinions(windows, threads))
        opinions = iter(_read(path, [len(window.ids) for window in windows]))
        for one in shard:
            yield replace(one, targets=tuple(replace(target, opinion=next(opinions)) for target in one.targets))

    def _opinions(self, windows: Sequence[Window], threads: ThreadPoolExecutor) -> list[Opinion]:
        order = sorted(range(len(windows)), key=lambda place: len(windows[place].ids))
        batches = [order[begin : begin + _AT_ONCE] for begin in range(0, len(order), _AT_ONCE)]
        opinions: dict[int, Opinion] = {}
        for batch, logits in zip(
            batches, threads.map(lambda b: self._ask([windows[i] for i in b]), batches), strict=True
        ):
            starts, ends = (side.softmax(1).cpu().numpy().astype(np.float16) for side in (logits.starts, logits.ends))
            for row, place in enumerate(batch):
                size = len(windows[place].ids)
                opinions[place] = Opinion(float(logits.no_answer[row]), starts[row, :size], ends[row, :size])
        return [opinions[place] for place in range(len(windows))]

    def _ask(self, windows: Sequence[Window]) -> Logits:
        with torch.inference_mode():
            logits: Logits = self._network(*padded(windows, self._device))
        return logits


def _write(path: Path, opinions: Sequence[Opinion]) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.savez(
            file,
            no_answer=np.array([opinion.no_answer for opinion in opinions], dtype=np.float32),
            starts=np.concatenate([opinion.starts for opinion in opinions]),
            ends=np.concatenate([opinion.ends for opinion in opinions]),
        )
    temporary.replace(path)


def _read(path: Path, sizes: Sequence[int]) -> Iterator[Opinion]:
    with np.load(path) as stored:
        no_answer, borders = stored["no_answer"], np.cumsum(sizes)[:-1]
        sides = zip(np.split(stored["starts"], borders), np.split(stored["ends"], borders), strict=True)
        for refusal, (starts, ends) in zip(no_answer, sides, strict=True):
            yield Opinion(float(refusal), starts, ends)
