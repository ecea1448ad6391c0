"""A service without parser processes, for the tests of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.bootstrap import Service, open_service
from api.settings import Settings
from tests.fakes import HashingEncoder
from tests.ingest.support import TextParser


@pytest.fixture
def parser() -> TextParser:
    """The parser of `service`: the file is the text."""
    return TextParser()


@pytest.fixture
def service(settings: Settings, parser: TextParser) -> Iterator[Service]:
    """A whole service on a fresh data directory; only parser and embedder are fakes."""
    with open_service(settings, parser=parser, load=lambda name, revision: HashingEncoder(name, revision)) as opened:
        yield opened
