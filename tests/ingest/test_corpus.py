"""Corpora: good lines, bad lines, damaged and oversized files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ingest.corpus import BadLine, CorpusLine, parse_line, read_corpus
from ingest.errors import ExtractionFailed
from ingest.parsing.media_types import CORPUS_JSONL, CORPUS_JSONL_GZIP


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"id": "a", "text": "T"}, CorpusLine("a", None, "T", {})),
        ({"_id": "a", "title": "", "text": "T"}, CorpusLine("a", None, "T", {})),
        ({"id": 7, "title": "X", "text": " T\n", "meta": {"k": 1}}, CorpusLine("7", "X", " T\n", {"k": 1})),
        ({"id": "a", "text": "渡轮", "metadata": {"k": [1, None]}}, CorpusLine("a", None, "渡轮", {"k": [1, None]})),
        ({"id": "a", "_id": "b", "text": "T", "metadata": None, "more": 1}, CorpusLine("a", None, "T", {})),
    ],
)
def test_good_lines(line: dict[str, object], expected: CorpusLine) -> None:
    """Both spellings of id and metadata; the text comes through to the character; unknown fields are ignored."""
    assert parse_line(1, json.dumps(line).encode()) == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"id": "a", "text": "T", "meta": {"x": NaN}}', "NaN is no JSON value"),
        (b'{"id": "a", "text": "T", "meta": {"x": 1e999}}', "the number 1e999 is too large"),
        (b'["a"]', "is not a JSON object"),
        (b'{"text": "T"}', 'has no "id"'),
        (b'{"id": "", "text": "T"}', 'has no "id"'),
        (b'{"id": true, "text": "T"}', 'has no "id"'),
        (b'{"id": "a"}', 'has no "text"'),
        (b'{"id": "a", "text": " "}', 'has no "text"'),
        (b'{"id": "a", "text": 3}', 'has no "text"'),
        (b'{"id": "a", "text": "T", "title": 3}', '"title" that is not a string'),
        (b'{"id": "a", "text": "T", "meta": 3}', '"metadata" that is not an object'),
        (rb'{"id": "a", "text": "\ud800"}', "surrogate"),
        (rb'{"id": "a", "text": "T", "title": "\ud800"}', "surrogate"),
        (rb'{"id": "a", "text": "T", "meta": {"x": ["\ud800"]}}', "surrogate"),
        (rb'{"id": "\ud800", "text": "T"}', "surrogate"),
    ],
)
def test_bad_lines(line: bytes, problem: str) -> None:
    """Each says its number and what is wrong, and nothing is raised."""
    bad = parse_line(3, line)
    assert isinstance(bad, BadLine)
    assert bad.number == 3
    assert problem in bad.problem


def test_the_hash_does_not_depend_on_the_spelling() -> None:
    """The same document in other words is unchanged."""
    one = parse_line(1, b'{"id": "a", "text": "T", "meta": {"x": 1, "y": 2}}')
    other = parse_line(9, b'{"metadata":{"y":2,"x":1},"text":"T","_id":"a","title":null}')
    assert isinstance(one, CorpusLine)
    assert isinstance(other, CorpusLine)
    assert one.canonical() == other.canonical()


LINES = b'{"id": "a", "text": "A"}\n\n \nnonsense\r\n{"id": "b", "text": "B"}'


@pytest.mark.parametrize("media_type", [CORPUS_JSONL, CORPUS_JSONL_GZIP])
def test_blank_lines_are_left_out_and_numbers_are_those_of_the_file(tmp_path: Path, media_type: str) -> None:
    """Plain and compressed alike; the last line needs no line break."""
    path = tmp_path / "corpus"
    path.write_bytes(gzip.compress(LINES) if media_type == CORPUS_JSONL_GZIP else LINES)
    read = list(read_corpus(path, media_type, decompressed_bytes_max=1000))
    assert [(number, type(line)) for number, line in read] == [(1, CorpusLine), (4, BadLine), (5, CorpusLine)]


GZIPPED = gzip.compress(LINES * 50, mtime=0)


@pytest.mark.parametrize(
    "damaged", [GZIPPED[:-9], b"no gzip" + GZIPPED, GZIPPED[:20] + b"xx" + GZIPPED[22:]], ids=["cut", "none", "changed"]
)
def test_damaged_gzip_fails_the_corpus(tmp_path: Path, damaged: bytes) -> None:
    """Cut off, no gzip at all, and changed in the middle."""
    path = tmp_path / "corpus"
    path.write_bytes(damaged)
    with pytest.raises(ExtractionFailed, match="gzip stream is damaged"):
        list(read_corpus(path, CORPUS_JSONL_GZIP, decompressed_bytes_max=100_000))


def test_an_unfolded_corpus_over_the_limit_fails(tmp_path: Path) -> None:
    """A small file may unfold to anything; reading stops at the limit."""
    path = tmp_path / "corpus"
    path.write_bytes(gzip.compress(LINES * 1000))
    with pytest.raises(ExtractionFailed, match="split the corpus") as caught:
        list(read_corpus(path, CORPUS_JSONL_GZIP, decompressed_bytes_max=10_000))
    assert caught.value.code == "too_large"


def test_a_corpus_that_is_gone_fails(tmp_path: Path) -> None:
    """Its blob may have been removed; the error says what to do."""
    with pytest.raises(ExtractionFailed, match="upload it again"):
        list(read_corpus(tmp_path / "gone", CORPUS_JSONL, decompressed_bytes_max=10_000))
