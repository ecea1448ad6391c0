"""The service of the pipeline's tests, for snapshots and search."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalogue import Catalogue
from ingest.collections import Collection, Collections, CollectionSettings
from tests.ingest.conftest import migrated, parser, service
from tests.retrieve.support import SPEC

__all__ = ["migrated", "parser", "service"]


@pytest.fixture
def catalogue(tmp_path: Path, migrated: Path) -> Iterator[Catalogue]:
    """A catalogue with an empty collection."""
    shutil.copy(migrated, tmp_path)
    opened = Catalogue(tmp_path / "catalogue.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def collection(catalogue: Catalogue) -> Collection:
    """The collection."""
    return Collections(catalogue).put("c", CollectionSettings(), SPEC)[0]
