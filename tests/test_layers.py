"""What holds for the project as a whole."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["ingest", "retrieve", "generate", "eval", "api"]


def test_there_is_no_sixth_package() -> None:
    """A new package would stand outside the layer contract."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages == set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_exports_are_sorted_and_exist(layer: str) -> None:
    """`__all__` is what others may use."""
    package = importlib.import_module(layer)
    exported = getattr(package, "__all__", [])
    assert sorted(exported) == sorted(set(exported))
    assert all(hasattr(package, name) for name in exported)
