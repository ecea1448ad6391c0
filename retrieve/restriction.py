"""Which document versions a search may see. Applied inside each index, before scores are ranked and cut to
top_k.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Restriction:
    """All live versions, or only the allowed ones; in both cases without the excluded ones.

    `allowed` comes from metadata filters and access tags (None: every live version), `excluded` from
    tombstones. Both are int64 arrays of shape (n,), sorted, without repeats, read-only; `Restriction.of`
    makes them so.
    """

    allowed: NDArray[np.int64] | None
    excluded: NDArray[np.int64]

    EVERYTHING: ClassVar[Restriction]

    @classmethod
    def of(cls, allowed: Iterable[int] | None = None, *, excluded: Iterable[int] = ()) -> Restriction:
        """A restriction from version keys in any order; excluded keys are taken out of the allowed ones."""
        barred = _sorted_keys(excluded)
        if allowed is None:
            return cls(None, barred)
        permitted = np.setdiff1d(_sorted_keys(allowed), barred, assume_unique=True)
        permitted.setflags(write=False)
        return cls(permitted, _sorted_keys(()))

    @property
    def is_everything(self) -> bool:
        """Every live version may be seen."""
        return self.allowed is None and len(self.excluded) == 0

    @property
    def is_nothing(self) -> bool:
        """No version at all may be seen."""
        return self.allowed is not None and len(self.allowed) == 0

    def mask(self, versions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `versions`, int64 of shape (n,) in any order, may be seen: bool of shape (n,)."""
        seen = np.ones(len(versions), np.bool_) if self.allowed is None else _contains(self.allowed, versions)
        return seen & ~_contains(self.excluded, versions)


def _sorted_keys(keys: Iterable[int]) -> NDArray[np.int64]:
    """Sorted, without repeats, read-only."""
    array = keys if isinstance(keys, np.ndarray) else np.fromiter(keys, np.int64)
    unique = np.unique(array.astype(np.int64, casting="same_kind"))
    unique.setflags(write=False)
    return unique


def _contains(keys: NDArray[np.int64], versions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Binary search of each version in the sorted keys: O(n log m), without a copy of either."""
    if len(keys) == 0:
        return np.zeros(len(versions), np.bool_)
    position = np.minimum(np.searchsorted(keys, versions), len(keys) - 1)
    found: NDArray[np.bool_] = keys[position] == versions
    return found


Restriction.EVERYTHING = Restriction.of()
