"""The joint reader: exact offsets, windows, merged adapters, and folders that are not what they should be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ingest.errors import Unavailable
from ingest.models import JointReader, packed_bert
from ingest.models.adapter import load_adapter
from ingest.models.windows import QUESTION_TOKENS_MAX, STRIDE_TOKENS, PairTokenizer, padded
from tests.ingest.models.tiny import tiny_adapter, tiny_base, tiny_network, tiny_reader, tiny_tokenizer

TEXT = "Zürich's café — opened 1946–08 — served 3,5 Mio. 😀 guests."


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter folder."""
    return tiny_adapter(tmp_path_factory.mktemp("adapter"))


def test_windows_hold_every_token_of_the_passage_once_or_in_the_shared_stretch() -> None:
    """Offsets stay those of the passage; neighbours share a stride; the question is cut, not the window."""
    words = [f"word{i}" for i in range(300)]
    passage, question = " ".join(words), "why " * 100
    windows = PairTokenizer(tiny_tokenizer(), 160).windows([(question, passage)])
    assert all(len(window.ids) <= 160 for window in windows)
    assert all(window.first == QUESTION_TOKENS_MAX + 2 for window in windows)
    read = {span for window in windows for span in window.spans}
    assert "".join(passage[span.start : span.end] for span in sorted(read, key=lambda s: s.start)) == "".join(words)
    for one, other in pairwise(windows):
        assert len(set(one.spans) & set(other.spans)) == STRIDE_TOKENS


def test_words_begin_and_end_where_the_text_says() -> None:
    """Only whole words can be answers."""
    window = PairTokenizer(tiny_tokenizer(), 160).windows([("when?", TEXT)])[0]
    begins = {span.start for span, begins in zip(window.spans, window.begins, strict=True) if begins}
    ends = {span.end for span, ends in zip(window.spans, window.ends, strict=True) if ends}
    for word in ("Zürich", "café", "1946", "08"):
        assert TEXT.index(word) in begins
        assert TEXT.index(word) + len(word) in ends


def test_merged_adapters_give_what_separate_ones_give(adapter: Path) -> None:
    """Serving reads as training did."""
    tokenizer = PairTokenizer(tiny_tokenizer(), 160)
    windows = tokenizer.windows([("When did it open?", TEXT)])
    trained = tiny_network().eval()
    with torch.inference_mode():
        logits = trained(*padded(windows))
    reading = tiny_reader(adapter).read([("When did it open?", TEXT)])[0]
    assert reading.relevance == pytest.approx(float(logits.relevance[0]), abs=2e-3)
    assert reading.no_answer == pytest.approx(float(logits.no_answer[0]), abs=2e-3)


def test_a_long_passage_is_read_to_its_end(adapter: Path) -> None:
    """Its reading is that of its best window."""
    reader = tiny_reader(adapter)
    parts = [" ".join(f"{word}{i}" for i in range(40)) for word in ("oak", "elm", "ash")]
    whole = reader.read([("which tree?", " ".join(parts))])[0]
    assert whole.relevance >= reader.read([("which tree?", " ".join(parts)[:200])])[0].relevance - 1
    assert len(whole.spans) == 5


def test_scores_are_relevances_in_0_to_1(adapter: Path) -> None:
    """As of any other cross-encoder."""
    reader = tiny_reader(adapter)
    pairs = [("when?", TEXT), ("when?", "Timber.")]
    scores = reader.score(pairs)
    relevance = np.array([reading.relevance for reading in reader.read(pairs)])
    np.testing.assert_allclose(np.log(scores / (1 - scores)), relevance, atol=1e-4)


def test_word_embeddings_are_shared(adapter: Path) -> None:
    """The table of the embedder is the reader's own."""
    base = tiny_base()
    words = tiny_base().get_input_embeddings()
    reader = JointReader(load_adapter(adapter), base, tiny_tokenizer(), device="cpu", bfloat16=False, words=words)
    assert reader._packed is not None
    assert reader._packed._embeddings[0].data_ptr() == words.weight.data_ptr()


def test_packed_layers_read_as_the_network_does(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of unlike lengths in one batch: the segments and the padding are those of the network."""
    pairs = [("When did it open?", TEXT), ("why?", "Timber."), ("which tree?", " ".join(f"oak{i}" for i in range(99)))]
    packed = tiny_reader(adapter).read(pairs)
    monkeypatch.setattr(packed_bert, "can_pack", lambda bert: False)
    reader = tiny_reader(adapter)
    assert reader._packed is None
    for one, other in zip(packed, reader.read(pairs), strict=True):
        assert one.relevance == pytest.approx(other.relevance, abs=1e-4)
        assert one.no_answer == pytest.approx(other.no_answer, abs=1e-4)
        assert [(span.start, span.end) for span in one.spans] == [(span.start, span.end) for span in other.spans]


@pytest.mark.parametrize("name", ["adapter.safetensors", "adapter.json"])
def test_a_damaged_file_is_told_by_its_sum(tmp_path: Path, name: str) -> None:
    """Before any of it is used."""
    folder = tiny_adapter(tmp_path / "adapter")
    data = bytearray((folder / name).read_bytes())
    data[-3] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(Unavailable, match=f"SHA-256 of {name} differs"):
        load_adapter(folder)


def test_a_folder_without_an_adapter_is_unavailable(tmp_path: Path) -> None:
    """The error names what was expected."""
    with pytest.raises(Unavailable, match=r"expected adapter\.safetensors"):
        load_adapter(tmp_path)


def test_an_adapter_of_another_shape_does_not_fit(tmp_path: Path) -> None:
    """A clear error, not a stack trace of torch."""
    folder = tiny_adapter(tmp_path / "adapter", rank=8)
    with pytest.raises(Unavailable, match="does not fit its base"):
        tiny_reader(folder)


@pytest.mark.real_model
def test_an_adapter_for_other_base_weights_is_refused(tmp_path: Path) -> None:
    """Merged into other weights it would read nonsense."""
    folder = tiny_adapter(tmp_path / "adapter", base="all-MiniLM-L6-v2", base_sha256="0" * 64)
    with pytest.raises(Unavailable, match="other weights"):
        JointReader.load(folder)
