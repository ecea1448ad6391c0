"""Masking configured patterns before anything is stored."""

from __future__ import annotations

import pytest

from generate.redaction import Redaction
from ingest.errors import InvalidInput


def test_matches_are_masked_at_their_full_length() -> None:
    """Offsets stay true; ids and times are never touched."""
    redaction = Redaction([r"\b\d{4}-\d{4}\b"])
    kept = redaction.json({"question": "card 1234-5678?", "n": [1, "no"], "document_id": "1234-5678"})
    assert kept == {"question": "card █████████?", "n": [1, "no"], "document_id": "1234-5678"}


def test_a_bad_pattern_is_named() -> None:
    """At start, not at the first answer."""
    with pytest.raises(InvalidInput, match="regular expression"):
        Redaction(["("])
