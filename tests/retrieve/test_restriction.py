"""Restrictions as masks over version keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve.restriction import Restriction

VERSIONS = np.array([3, 1, 2, 2, 9], np.int64)
keys = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("allowed", "excluded", "mask"),
    [
        (None, [], [1, 1, 1, 1, 1]),
        (None, [2, 7], [1, 1, 0, 0, 1]),
        ([9, 2], [], [0, 0, 1, 1, 1]),
        ([2, 9, 2], [9], [0, 0, 1, 1, 0]),
        ([100], [], [0, 0, 0, 0, 0]),
        ([], [], [0, 0, 0, 0, 0]),
    ],
)
def test_mask(allowed: list[int] | None, excluded: list[int], mask: list[int]) -> None:
    """Allowed versions without the excluded ones, in the order asked."""
    assert Restriction.of(allowed, excluded=excluded).mask(VERSIONS).tolist() == [bool(m) for m in mask]


@settings(deadline=None)
@given(st.none() | st.sets(keys), st.sets(keys), st.lists(keys))
def test_mask_agrees_with_set_membership(allowed: set[int] | None, excluded: set[int], asked: list[int]) -> None:
    """The binary search says what Python's sets say, for any int64 keys."""
    mask = Restriction.of(allowed, excluded=excluded).mask(np.array(asked, np.int64))
    assert mask.tolist() == [(allowed is None or k in allowed) and k not in excluded for k in asked]


def test_everything_and_nothing_are_known_as_such() -> None:
    """Indexes skip the mask for the one and the search for the other."""
    assert Restriction.EVERYTHING.is_everything
    assert not Restriction.of(excluded=[1]).is_everything
    assert Restriction.of([1], excluded=[1]).is_nothing
    assert not Restriction.EVERYTHING.is_nothing


def test_keys_are_sorted_once_and_read_only() -> None:
    """A restriction can be shared by threads and kept."""
    restriction = Restriction.of([5, 1, 5])
    assert restriction.allowed is not None
    assert restriction.allowed.tolist() == [1, 5]
    with pytest.raises(ValueError, match="read-only"):
        restriction.allowed[0] = 2


def test_an_array_of_floats_is_refused() -> None:
    """Version keys beyond 2**53 would silently change as floats."""
    with pytest.raises(TypeError):
        Restriction.of(np.array([1.5]))
