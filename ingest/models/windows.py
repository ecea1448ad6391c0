"""A question and a passage as token windows that a BERT model reads, with exact offsets into the passage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ingest.models.cross_encoder import Pair
from ingest.sentences import Span

QUESTION_TOKENS_MAX = 64
"""A longer question is cut: the pairs' windows must have room for the passage."""

STRIDE_TOKENS = 64
"""Neighbouring windows of a long passage share this many tokens: an answer on a border is whole in one of them."""


@dataclass(frozen=True, slots=True)
class Window:
    """`[CLS] question [SEP] part of the passage [SEP]`.

    `pair` is the pair's place in the batch; `ids` are token ids; the passage's tokens begin at `first` and `spans` are
    their code points in the passage; `begins` and `ends` say which of them begin and end a word.
    """

    pair: int
    ids: tuple[int, ...]
    first: int
    spans: tuple[Span, ...]
    begins: tuple[bool, ...]
    ends: tuple[bool, ...]


class PairTokenizer:
    """Cuts pairs into windows of at most `max_tokens`; `backend` is a `tokenizers.Tokenizer` with BERT's markers."""

    def __init__(self, backend: Any, max_tokens: int) -> None:
        # the packaged tokeniser truncates at 128 tokens, and pads
        self._backend = backend.__class__.from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._open, self._close = self._backend.token_to_id("[CLS]"), self._backend.token_to_id("[SEP]")
        self.max_tokens = max_tokens

    def windows(self, pairs: Sequence[Pair]) -> list[Window]:
        """The windows of all pairs in their order, at least one a pair."""
        questions = list(dict.fromkeys(question for question, _ in pairs))
        encoded = self._backend.encode_batch(questions, add_special_tokens=False)
        ids = {question: e.ids[:QUESTION_TOKENS_MAX] for question, e in zip(questions, encoded, strict=True)}
        passages = self._backend.encode_batch([passage for _, passage in pairs], add_special_tokens=False)
        return [
            window
            for place, ((question, _), passage) in enumerate(zip(pairs, passages, strict=True))
            for window in self._cut(place, ids[question], passage)
        ]

    def _cut(self, place: int, question: list[int], passage: Any) -> Iterator[Window]:
        head = (self._open, *question, self._close)
        room = self.max_tokens - len(head) - 1
        spans = [Span(start, end) for start, end in passage.offsets]
        words = [None, *passage.word_ids, None]
        for start in range(0, max(len(spans) - STRIDE_TOKENS, 1), room - STRIDE_TOKENS):
            part = slice(start, start + room)
            stop = min(start + room, len(spans))
            yield Window(
                place,
                (*head, *passage.ids[part], self._close),
                len(head),
                tuple(spans[part]),
                tuple(words[i + 1] != words[i] for i in range(start, stop)),
                tuple(words[i + 1] != words[i + 2] for i in range(start, stop)),
            )
            if stop == len(spans):
                return


def segments_of(window: Window) -> list[int]:
    """1 for tokens of the passage, 0 for the question's and all special ones."""
    passage = len(window.spans)
    return [0] * window.first + [1] * passage + [0] * (len(window.ids) - window.first - passage)


def padded(windows: Sequence[Window], device: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, segments and mask of a batch: int64 tensors of shape (n_windows, longest); segment 1 is the passage."""
    longest = max(len(window.ids) for window in windows)
    ids = torch.zeros((len(windows), longest), dtype=torch.long)
    segments, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, window in enumerate(windows):
        size = len(window.ids)
        ids[row, :size] = torch.tensor(window.ids)
        segments[row, :size] = torch.tensor(segments_of(window))
        mask[row, :size] = 1
    return ids.to(device), segments.to(device), mask.to(device)
