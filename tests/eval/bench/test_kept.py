"""Results that are kept as they come."""

from __future__ import annotations

from pathlib import Path

from eval.bench.kept import KeptResults


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    """Also in another process, and where the result is nothing."""
    computed = []

    def compute() -> None:
        computed.append(1)

    first = KeptResults(tmp_path / "kept.jsonl")
    assert first.get(["a", 0.5, None], compute) is None
    assert first.get(["b"], lambda: {"x": 1}) == {"x": 1}
    again = KeptResults(tmp_path / "kept.jsonl")
    assert again.get(["a", 0.5, None], compute) is None
    assert again.get(["b"], lambda: {"x": 2}) == {"x": 1}
    assert computed == [1]
