"""The four cases of MIRAGE, by hand."""

from __future__ import annotations

from eval.measures import adaptability


def test_each_question_is_in_one_case() -> None:
    """One of each, and one more that is right on both."""
    base = [False, False, False, True, False]
    oracle = [True, True, False, False, True]
    mixed = [False, True, False, True, True]
    found = adaptability(base, oracle, mixed)
    assert found is not None
    assert (found.noise_vulnerability, found.context_acceptability) == (0.2, 0.4)
    assert (found.context_insensitivity, found.context_misinterpretation) == (0.2, 0.2)


def test_nothing_asked_is_unscored() -> None:
    """None, not NaN."""
    assert adaptability([], [], []) is None
