"""The table of answers over small collections, counted by hand."""

from __future__ import annotations

from eval.bench.few_passages import Judged, table


def test_shares_are_of_those_that_can_be_answered_and_of_all_others() -> None:
    """A refused question counts in the whole, not in the share of right answers."""
    rows = [
        Judged(1, answerable=True, confidence=0.9, right=True),
        Judged(1, answerable=True, confidence=0.6, right=False),
        Judged(1, answerable=True, confidence=0.4, right=True),
        Judged(1, answerable=False, confidence=0.5, right=False),
        Judged(2, answerable=True, confidence=0.3, right=True),
        Judged(2, answerable=False, confidence=0.1, right=False),
    ]
    _, _, one, two, every = table(rows).splitlines()
    assert one == "| 1 | 4 | 0.500 | 67 % | 50 % | 100 % |"
    assert two == "| 2 | 2 | 1.000 | 0 % | - | 0 % |"
    assert every == "| all | 6 | 0.556 | 50 % | 50 % | 50 % |"


def test_where_all_is_right_or_wrong_there_is_no_auroc() -> None:
    """Nothing to tell apart."""
    assert "| 3 | 1 | - | 100 % | 100 % | - |" in table([Judged(3, answerable=True, confidence=0.9, right=True)])
