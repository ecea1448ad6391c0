"""Strict JSON: what the catalogue could not store or give back is refused at the door."""

from __future__ import annotations

import pytest

from ingest.corpus import BadLine, parse_line
from ingest.strict_json import parse_json


def test_plain_json_is_taken() -> None:
    """Ordinary values come back as Python's own."""
    assert parse_json(b'{"a": [1, 2.5, "\\u4e2d", null, true]}') == {"a": [1, 2.5, "中", None, True]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NaN", "NaN"),
        ('{"a": 1e999}', "too large"),
        (r'["\ud800"]', "surrogate"),
        (r'{"\ud800": 1}', "surrogate"),
        (r'["a\u0000b"]', "NUL"),
        ("[" * 70 + "]" * 70, "64 levels"),
        ("[" * 100_000, "64 levels"),
        ("{", "Expecting"),
        (b"\xff", "utf-8"),
    ],
)
def test_what_cannot_be_stored_is_refused(text: str | bytes, said: str) -> None:
    """Each refusal says what is wrong."""
    with pytest.raises(ValueError, match=said):
        parse_json(text)


def test_a_corpus_line_with_an_infinite_number_is_a_bad_line() -> None:
    """Stored as JSON, an infinity would break every filter over the metadata of the collection."""
    assert isinstance(parse_line(3, b'{"id": "a", "text": "b", "meta": {"n": 1e999}}'), BadLine)
