"""Groups of documents on their way through the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pytest

from ingest import embedding
from ingest.chunking import Chunk
from ingest.embedding import embed_group
from ingest.models import FloatArray, ModelRuntime
from ingest.parsing import ParsedDocument
from ingest.prepared import Prepared, Task
from tests.fakes import HashingEncoder


class StepwiseRuntime:
    """Tells of each text by itself, the last first."""

    def embed(
        self, encoder: object, texts: Sequence[str], *, progress: Callable[[list[bool]], None], **_: Any
    ) -> FloatArray:
        for left in reversed(range(len(texts))):
            progress([position >= left for position in range(len(texts))])
        return np.array([[float(text[-1])] for text in texts], np.float32).reshape(-1, 1)


def prepared(text: str, vectors: FloatArray | None = None) -> Prepared:
    """A document with a chunk for each character."""
    task = Task(1, 1, 1, "a", "", len(text), "a", "text/plain", None, {})
    chunks = [Chunk(place, place, place + 1, 1, None, None) for place in range(len(text))]
    return Prepared(task, ParsedDocument(text, None), chunks, vectors=vectors)


@pytest.mark.parametrize(("at_once", "told"), [(1_024, [2, 1, 1, 1]), (2, [2, 1, 1, 1])])
def test_a_document_is_through_with_its_last_text(
    monkeypatch: pytest.MonkeyPatch, at_once: int, told: list[int]
) -> None:
    """Those without any at once; every document once, however the texts are cut; vectors in the order of chunks."""
    monkeypatch.setattr(embedding, "_TEXTS_AT_ONCE", at_once)
    failed = Prepared(prepared("").task)
    group = [prepared("12"), failed, prepared("3"), prepared("99", np.zeros((2, 1), np.float32)), prepared("45")]
    seen: list[int] = []
    runtime = cast("ModelRuntime", StepwiseRuntime())
    vectors = embed_group(runtime, HashingEncoder(), group, threading.Event(), seen.append)
    assert seen == told
    assert vectors.ravel().tolist() == [1, 2, 3, 0, 0, 4, 5]
