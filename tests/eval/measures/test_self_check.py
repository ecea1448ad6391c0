"""Self-contradiction, with a contradiction that is told by hand."""

from __future__ import annotations

from eval.measures import self_check


def test_a_sentence_that_samples_contradict_stands_out() -> None:
    """Two of four samples deny the year; nothing denies the colour."""
    samples = ["in 1871", "in 1902", "in 1871", "in 1902"]
    found = self_check(["built in 1871", "red"], samples, lambda sample, s: float("1871" in s and "1902" in sample))
    assert found == (0.5, 0.0)


def test_without_samples_nothing_is_known() -> None:
    """And an answer without sentences has no scores."""
    assert self_check(["a"], [], lambda *_: 1.0) is None
    assert self_check([], ["a"], lambda *_: 1.0) == ()
