"""The vectors of a group of documents, and how many of the documents are through the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ingest.chunking import contextual_text
from ingest.models import Encoder, FloatArray, ModelRuntime, Priority
from ingest.prepared import Prepared

_TEXTS_AT_ONCE = 1_024


def embed_group(
    runtime: ModelRuntime,
    encoder: Encoder,
    group: Sequence[Prepared],
    given_up: threading.Event,
    passed: Callable[[int], None] | None = None,
) -> FloatArray:
    """float32 array of shape (chunks of the group, dimensions), in the order of documents and chunks.

    `passed` is told of documents all of whose chunks are done, so many more each time, in the end of all. Raises
    `Unavailable` when the model fails, and soon after `given_up` is set.
    """
    texts = [_texts(prepared) for prepared in group]
    flat = [text for some in texts for text in some]
    count = _Count([len(some) for some in texts], passed)
    made = [
        runtime.embed(
            encoder,
            flat[start : start + _TEXTS_AT_ONCE],
            kind="document",
            priority=Priority.BULK,
            given_up=given_up,
            progress=partial(count.see, start),
        )
        for start in range(0, max(1, len(flat)), _TEXTS_AT_ONCE)
    ]
    count.see(0, [True] * len(flat))
    return _in_order(group, np.concatenate(made))


class _Count:
    """Documents whose last text is done; `texts` is how many each has."""

    def __init__(self, texts: Sequence[int], passed: Callable[[int], None] | None) -> None:
        self._owners = np.repeat(np.arange(len(texts)), texts)
        self._documents = len(texts)
        self._passed, self._told = passed, 0

    def see(self, start: int, done: Sequence[bool]) -> None:
        """All texts before `start` are done, of those from there on these, and none after them."""
        waiting = np.ones(len(self._owners), np.bool_)
        waiting[:start] = False
        waiting[start : start + len(done)] = ~np.asarray(done, np.bool_)
        complete = self._documents - len(np.unique(self._owners[waiting]))
        if self._passed is not None and complete > self._told:
            self._passed(complete - self._told)
            self._told = complete


def _texts(prepared: Prepared) -> list[str]:
    """What is to be embedded of a document: nothing, where it failed or brought its vectors with it."""
    if prepared.parsed is None or prepared.vectors is not None:
        return []
    text = prepared.parsed.text
    return [contextual_text(prepared.title, chunk.heading, text[chunk.start : chunk.end]) for chunk in prepared.chunks]


def _in_order(group: Sequence[Prepared], made: FloatArray) -> FloatArray:
    """The vectors of all chunks of the group: those that documents brought with them between those just made."""
    parts, used = [], 0
    for prepared in group:
        if prepared.vectors is not None:
            parts.append(prepared.vectors)
        else:
            parts.append(made[used : used + len(prepared.chunks)])
            used += len(prepared.chunks)
    return np.concatenate(parts)
