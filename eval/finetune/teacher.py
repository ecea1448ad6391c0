"""A larger encoder that teaches: trained as the student is, then asked about more pairs than anyone labelled.

Distillation (Hinton et al., 2015), of its answers and of its hidden states (`eval.finetune.states`). The teacher reads
the student's windows token by token: both have the same word pieces, in another order of ids, so what it says of a
token is a target for the same token.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from eval.finetune.batches import Opinion, Prepared
from eval.finetune.states import with_states
from ingest.errors import Unavailable
from ingest.models.network import JointNetwork
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

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, **options: Any) -> Any:
        ids = self.ids[input_ids].masked_fill(attention_mask == 0, self.config.pad_token_id)
        segments = {"token_type_ids": token_type_ids} if getattr(self.config, "type_vocab_size", 0) > 1 else {}
        return self.model(input_ids=ids, attention_mask=attention_mask, **segments, **options)


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
        """The examples with an opinion of every window; those in `folder` are read, the others are added to it.

        A base of 768 coordinates takes 400 KB a window of 130 tokens there, read from the file as it is used.
        """
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
        if not (path.is_file() and path.with_suffix(".npy").is_file()):
            self._write(path, windows, threads)
        opinions = iter(_read(path, [len(window.ids) for window in windows]))
        for one in shard:
            yield replace(one, targets=tuple(replace(target, opinion=next(opinions)) for target in one.targets))

    def _write(self, path: Path, windows: Sequence[Window], threads: ThreadPoolExecutor) -> None:
        """The states first: where the answers are, they are too."""
        borders = _borders([len(window.ids) for window in windows])
        no_answer = np.empty(len(windows), dtype=np.float32)
        sides = np.empty((2, borders[-1]), dtype=np.float16)
        states: list[NDArray[np.float16]] = [np.empty((0, 0, 0), np.float16)] * len(windows)
        order = sorted(range(len(windows)), key=lambda place: len(windows[place].ids))
        batches = [order[begin : begin + _AT_ONCE] for begin in range(0, len(order), _AT_ONCE)]
        for batch, said in zip(
            batches, threads.map(lambda b: self._ask([windows[i] for i in b]), batches), strict=True
        ):
            for row, place in enumerate(batch):
                begin, end = borders[place], borders[place + 1]
                no_answer[place] = said[0][row]
                sides[:, begin:end] = said[1][:, row, : end - begin]
                states[place] = said[2][:, row, : end - begin]
        _whole(path.with_suffix(".npy"), lambda file: np.save(file, np.concatenate(states, axis=1)))
        _whole(path, lambda file: np.savez(file, no_answer=no_answer, starts=sides[0], ends=sides[1]))

    def _ask(self, windows: Sequence[Window]) -> tuple[NDArray[np.float32], NDArray[np.float16], NDArray[np.float16]]:
        """Of shapes (n,), (2, n, tokens) and (depths, n, tokens, width)."""
        with torch.inference_mode():
            logits, states = with_states(self._network, *padded(windows, self._device))
            sides = torch.stack([logits.starts.softmax(1), logits.ends.softmax(1)])
            return logits.no_answer.cpu().numpy(), _half(sides), _half(torch.stack(states))


def _half(tensor: Tensor) -> NDArray[np.float16]:
    half: NDArray[np.float16] = tensor.half().cpu().numpy()
    return half


def _borders(sizes: Sequence[int]) -> list[int]:
    return [0, *itertools.accumulate(sizes)]


def _whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        write(file)
    temporary.replace(path)


def _read(path: Path, sizes: Sequence[int]) -> Iterator[Opinion]:
    states = np.load(path.with_suffix(".npy"), mmap_mode="r")
    with np.load(path) as stored:
        no_answer, starts, ends = stored["no_answer"], stored["starts"], stored["ends"]
    for place, (begin, end) in enumerate(itertools.pairwise(_borders(sizes))):
        yield Opinion(float(no_answer[place]), starts[begin:end], ends[begin:end], states[:, begin:end])
