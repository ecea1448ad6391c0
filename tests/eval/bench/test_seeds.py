"""How the runs of several seeds are put side by side."""

from __future__ import annotations

from eval.bench.seeds import table


def test_a_measure_a_row_with_its_spread() -> None:
    """The deviation is that of a sample: with n - 1."""
    rows = [{"F1": 50.0, "AUROC": 0.5}, {"F1": 52.0, "AUROC": 0.5}, {"F1": 54.0, "AUROC": 0.5}]
    lines = table(rows).splitlines()
    assert lines[0] == "| | run 1 | run 2 | run 3 | mean | deviation |"
    assert lines[2:] == ["| F1 | 50 | 52 | 54 | 52 | 2 |", "| AUROC | 0.5 | 0.5 | 0.5 | 0.5 | 0 |"]
