"""A service without parser processes, for the tests of the pipeline and of search."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from ingest.catalogue import Catalogue
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty catalogue to copy: running the migrations is most of the time that a service takes to open."""
    path = tmp_path_factory.mktemp("migrated") / "catalogue.sqlite"
    Catalogue(path).close()
    return path


@pytest.fixture
def parser() -> TextParser:
    """The parser of `service`: the file is the text."""
    return TextParser()


@pytest.fixture
def service(settings: Settings, migrated: Path, parser: TextParser) -> Iterator[Service]:
    """A whole service on a fresh data directory; only parser and embedder are fakes."""
    settings.data_dir.mkdir()
    shutil.copy(migrated, settings.data_dir)
    with open_service(settings, parser=parser, load=lambda name, revision: HashingEncoder(name, revision)) as opened:
        yield opened
