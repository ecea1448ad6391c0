"""The tables of answers to questions in other words, counted by hand."""

from __future__ import annotations

from eval.bench.few_passages import Judged
from eval.bench.other_words import summary, table

ROWS = [
    Judged(3, answerable=True, confidence=0.9, right=True),
    Judged(3, answerable=True, confidence=0.45, right=False),
    Judged(3, answerable=True, confidence=0.2, right=True),
    Judged(3, answerable=False, confidence=0.5, right=False),
]


def test_each_threshold_has_a_line() -> None:
    """What lies below it is refused."""
    assert table(ROWS).splitlines()[2:] == [
        "| 0.3 | 67 % | 50 % | 100 % |",
        "| 0.4 | 67 % | 50 % | 100 % |",
        "| 0.5 | 33 % | 100 % | 100 % |",
        "| 0.6 | 33 % | 100 % | 0 % |",
    ]


def test_the_summary_counts_best_answers_of_what_can_be_answered() -> None:
    """Refused or not."""
    assert summary("files", ROWS) == "files: 3 answerable of 4, best answer right 67 %, AUROC 0.500"
