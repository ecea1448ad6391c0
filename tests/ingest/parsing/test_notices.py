"""A scan may take as long as its pages need: each that was recognised gives it more time, up to a number of pages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ingest.errors import ExtractionFailed
from ingest.parsing import ParseLimits, ParserPool, SourceFile
from tests.ingest.parsing.hostile_worker import HOSTILE

COMMAND = (sys.executable, "-m", "tests.ingest.parsing.hostile_worker")


def read_slowly(tmp_path: Path, pages: int, **limits: float) -> str:
    """Text of a document that takes 0.4 s a page, with one second for the whole."""
    path = tmp_path / "slow"
    path.write_text(f"pages {pages}")
    with ParserPool(1, command=COMMAND) as pool:
        return pool.parse(SourceFile(path, "slow.pdf", HOSTILE), ParseLimits(timeout_s=1, **limits)).text  # type: ignore[arg-type]


def test_recognised_pages_give_more_time(tmp_path: Path) -> None:
    """Two seconds' work is done within a limit of one second."""
    assert read_slowly(tmp_path, 5, ocr_page_s=0.5)


@pytest.mark.parametrize("limits", [{"ocr_page_s": 0.01}, {"ocr_page_s": 10, "ocr_pages_max": 2}])
def test_the_time_ends_all_the_same(tmp_path: Path, limits: dict[str, float]) -> None:
    """A page that takes too long, or too many of them, end it."""
    with pytest.raises(ExtractionFailed) as failed:
        read_slowly(tmp_path, 5, **limits)
    assert failed.value.code == "parser_timeout"
