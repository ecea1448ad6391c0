"""A queue of its own, without a service around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalogue import Catalogue
from ingest.collections import Collections, CollectionSettings
from ingest.generations import GenerationSpec
from ingest.jobs import Jobs


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue with one collection."""
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    Collections(opened).put("c", CollectionSettings(), GenerationSpec("m", "1", 64, 60, 12, "a", "i"))
    yield opened
    opened.close()


@pytest.fixture
def jobs(catalogue: Catalogue) -> Jobs:
    """An empty queue."""
    return Jobs(catalogue)
