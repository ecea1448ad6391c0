"""Claim matrices by hand."""

from __future__ import annotations

import pytest

from eval.measures import ClaimMatrix, claim_scores


def test_claims_are_right_known_or_made_up() -> None:
    """Four claims: right and supported, right by own knowledge, wrong but supported, made up. Two of three golds said,
    one of them without a passage.
    """
    found = claim_scores(
        ClaimMatrix(
            right=(True, True, False, False),
            supported=((True, False), (False, False), (False, True), (False, False)),
            said=(True, True, False),
            available=((True, False), (False, False), (True, True)),
        )
    )
    assert (found.precision, found.recall) == (0.5, pytest.approx(2 / 3))
    assert found.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert (found.hallucination, found.self_knowledge, found.context_utilisation) == (0.25, 0.25, 0.5)


def test_a_refusal_is_unscored_and_not_zero() -> None:
    """No claims: no precision; recall is 0, for the gold claim was not said."""
    found = claim_scores(ClaimMatrix((), (), (False,), ((True,),)))
    assert (found.precision, found.hallucination, found.f1) == (None, None, None)
    assert (found.recall, found.context_utilisation) == (0.0, 0.0)
    assert claim_scores(ClaimMatrix((False,), ((),), (False,), ((),))).f1 == 0.0
