"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# the reading model belongs to the packaged embedder: tests with a fake one name what they use
os.environ.setdefault("CITEWELL_RERANKER_MODEL", "")
os.environ.setdefault("CITEWELL_GENERATOR", "extractive")

from api.bootstrap import Service, open_service
from api.settings import Settings
from tests.fakes import HashingEncoder

# the same examples in each run: a gate must not fail by chance; HYPOTHESIS_PROFILE=default looks for others
hypothesis_settings.register_profile("gate", derandomize=True)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

SHARED = Path(os.environ.get("CITEWELL_SHARED_DIR", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data sets beside the checkout (or where CITEWELL_SHARED_DIR points)."""
    if not (SHARED / "datasets").is_dir():
        pytest.skip(f"needs the public data sets in {SHARED / 'datasets'}; set CITEWELL_SHARED_DIR")
    return SHARED


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh, empty data directory."""
    return Settings(data_dir=tmp_path / "data", chunk_tokens=60, overlap_tokens=12, ragas="off")


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """A whole service on a fresh data directory, with a fast fake embedder and real parsers."""
    with open_service(settings, load=lambda name, revision: HashingEncoder(name, revision)) as opened:
        yield opened
