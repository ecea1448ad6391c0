from __future__ import annotations

import ingest.parsing


def test_exports_exist_and_are_sorted() -> None:
    """`__all__` is what others may use."""
    names = ingest.parsing.__all__
    assert all(hasattr(ingest.parsing, name) for name in names)
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
