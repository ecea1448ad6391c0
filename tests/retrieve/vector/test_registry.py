"""Engines by name."""

from __future__ import annotations

import pytest

from ingest.errors import InvalidInput
from retrieve.vector import DEFAULT_ENGINE, ENGINES, open_vector_index


def test_names_are_known() -> None:
    """The names that settings may use, the default among them."""
    assert ENGINES == ("faiss", "faiss_flat")
    assert DEFAULT_ENGINE in ENGINES


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    """A misspelt engine does not silently become the default."""
    with pytest.raises(InvalidInput, match="choose one of faiss, faiss_flat"):
        open_vector_index("flat", dim=3)
