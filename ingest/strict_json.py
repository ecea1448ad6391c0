"""JSON from outside, held to what the catalogue can store and give back: finite numbers, whole Unicode, bounded depth.

Python's parser takes more: NaN, 1e999 as infinity, half a surrogate pair, NUL. Such a value would be stored and then
break every filter over the collection's metadata, or the response that it is part of.
"""

from __future__ import annotations

import json
import math
from typing import Any

_DEPTH_MAX = 64


def parse_json(text: str | bytes) -> Any:
    """The value. Raises `ValueError`, saying what is wrong, for anything but strict JSON of up to 64 levels."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as failure:
        raise ValueError(f"it is nested deeper than {_DEPTH_MAX} levels") from failure
    _check(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _check(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {_DEPTH_MAX} levels")
        inner: list[Any] = []
        for one in level:
            if isinstance(one, str):
                _check_text(one)
            elif isinstance(one, list):
                inner.extend(one)
            elif isinstance(one, dict):
                inner.extend(one)
                inner.extend(one.values())
        level = inner


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValueError("a string holds NUL")
    try:
        text.encode()
    except UnicodeEncodeError as failure:
        raise ValueError("a string holds half a surrogate pair") from failure
