"""The success index and its attribution, by hand-worked cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import Factors, attribute_change, parametric_luck, success_index

_SHARE = st.floats(0, 1)
_FACTORS = st.builds(Factors, _SHARE, _SHARE, _SHARE)


def test_the_index_is_the_mean_of_products() -> None:
    """Not the product of means: (1 + 0) / 2, where the means would give 1/2 x 1/2."""
    assert success_index([Factors(1, 1, 1), Factors(0, 0, 1)]) == 0.5
    assert success_index([]) is None


def test_a_change_is_attributed_to_what_changed() -> None:
    """Only coverage fell: all of the change is its; two factors from 1 to 0 share it equally."""
    only = attribute_change([Factors(1, 1, 1)], [Factors(1, 0.5, 1)])
    assert only is not None
    assert (only.correctness, only.coverage, only.stability) == (0, -0.5, 0)
    both = attribute_change([Factors(1, 1, 1)], [Factors(0, 0, 1)])
    assert both is not None
    assert (both.correctness, both.coverage, both.stability) == (-0.5, -0.5, 0)
    assert attribute_change([], []) is None


@given(st.lists(st.tuples(_FACTORS, _FACTORS), min_size=1, max_size=10))
def test_the_parts_sum_to_the_change(pairs: list[tuple[Factors, Factors]]) -> None:
    """Exactly, whatever the factors."""
    before, after = [old for old, _ in pairs], [new for _, new in pairs]
    parts = attribute_change(before, after)
    assert parts is not None
    assert parts.change == pytest.approx((success_index(after) or 0) - (success_index(before) or 0), abs=1e-9)


def test_luck_is_right_without_evidence() -> None:
    """Two right of four, one of them without its evidence."""
    luck = parametric_luck([True, True, False, False], [True, False, True, False])
    assert luck is not None
    assert (luck.with_evidence, luck.without_evidence) == (0.25, 0.25)
    assert parametric_luck([], []) is None
