from __future__ import annotations

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import CORPUS_JSONL, CORPUS_JSONL_GZIP, media_types
from ingest.parsing.registry import parser_for

KINDS = {value for name, value in vars(media_types).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("media_type", sorted(KINDS - {CORPUS_JSONL, CORPUS_JSONL_GZIP}))
def test_every_kind_has_a_parser(media_type: str) -> None:
    """What can be detected can be read."""
    assert parser_for(media_type).name


@pytest.mark.parametrize("media_type", [CORPUS_JSONL, CORPUS_JSONL_GZIP, "image/png"])
def test_corpora_and_foreign_kinds_have_none(media_type: str) -> None:
    """The error names what can be read."""
    with pytest.raises(ExtractionFailed, match="application/pdf") as failed:
        parser_for(media_type)
    assert failed.value.code == "unsupported_media_type"
