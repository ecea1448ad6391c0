"""Shared fixtures: parse bytes in this process, or in one pool for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.parsing import ParsedDocument, ParseLimits, ParserPool, SourceFile
from ingest.parsing.registry import parser_for

ParseBytes = Callable[..., ParsedDocument]


@pytest.fixture
def parse_bytes(tmp_path: Path) -> ParseBytes:
    """Parse bytes as a media type, in this process; keywords are fields of `ParseLimits` and `password`."""

    def parse(
        data: bytes, media_type: str, *, filename: str = "sample", password: str | None = None, **limits: int
    ) -> ParsedDocument:
        path = tmp_path / "sample"
        path.write_bytes(data)
        source = SourceFile(path, filename, media_type, password)
        document = parser_for(media_type).parse(source, ParseLimits(**limits))
        assert_consistent(document)
        return document

    return parse


@pytest.fixture(scope="session")
def pool() -> Iterator[ParserPool]:
    """One pool of real workers."""
    with ParserPool(2, ParseLimits(timeout_s=110)) as pool:
        yield pool


def assert_consistent(document: ParsedDocument) -> None:
    """What holds for every document, whatever its kind."""
    text = document.text
    assert text.strip()
    assert not [c for c in set(text) if c < " " and c not in "\n\t"]
    assert text.encode("utf-8").decode("utf-8") == text
    if document.pages:
        assert "".join(text[page.start : page.end] for page in document.pages) == text
        assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(starts)
    for heading in document.headings:
        assert heading.start == 0 or text[heading.start - 1] == "\n"
        line = text[heading.start :].partition("\n")[0]
        assert heading.title in " ".join(line.split())
        assert 1 <= heading.level <= 6
    assert 0 <= document.quality <= 1
