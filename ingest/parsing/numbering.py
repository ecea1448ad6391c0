"""Recomputes the numbers that Word shows before list items and headings; the file stores only how to count.

Bullets, decimal, letters, Roman and Chinese numerals are exact; other number formats are shown in decimal.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ingest.parsing.ooxml import attribute, child, local, value

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
    (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_CHINESE_DIGITS = "零一二三四五六七八九"
_REFERENCE = re.compile(r"%(\d)")


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    format: str
    pattern: str


class Numbering:
    """Counts the paragraphs of one document in order. Built from `numbering.xml`, or None where there is
    none.
    """

    def __init__(self, root: Element | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        for element in root if root is not None else ():
            if local(element.tag) == "abstractNum":
                self._levels[attribute(element, "abstractNumId") or ""] = _levels(element)
            elif local(element.tag) == "num":
                self._lists[attribute(element, "numId") or ""] = value(element, "abstractNumId") or ""

    def label(self, list_id: str, depth: int) -> str:
        """The number of the next paragraph of a list at `depth` (from 0), for example `2.1`; `-` for a
        bullet.
        """
        abstract = self._lists.get(list_id, "")
        levels = self._levels.get(abstract, {})
        level = levels.get(depth)
        if level is None:
            return ""
        if level.format == "bullet":
            return "-"
        counts = self._counts[abstract]
        counts[depth] = counts.get(depth, level.start - 1) + 1
        for deeper in [one for one in counts if one > depth]:
            del counts[deeper]
        return _REFERENCE.sub(lambda found: _shown(levels, counts, int(found[1]) - 1), level.pattern).strip()


def _levels(abstract: Element) -> dict[int, _Level]:
    return {
        int(attribute(one, "ilvl") or 0): _Level(
            start=int(value(one, "start") or 1),
            format=value(one, "numFmt") or "decimal",
            pattern=value(one, "lvlText") or "",
        )
        for one in abstract
        if local(one.tag) == "lvl" and child(one, "numFmt") is not None
    }


def _shown(levels: dict[int, _Level], counts: dict[int, int], depth: int) -> str:
    level = levels.get(depth)
    if level is None:
        return ""
    return _FORMATS.get(level.format, str)(counts.get(depth, level.start))


def _letters(number: int) -> str:
    """a to z, then aa, bb: Word repeats the letter instead of counting on."""
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1) if 0 < number < 1000 else str(number)


def _roman(number: int) -> str:
    if not 0 < number < 4000:
        return str(number)
    out = ""
    for worth, sign in _ROMAN:
        out += sign * (number // worth)
        number %= worth
    return out


def _chinese(number: int) -> str:
    """一 to 九十九; larger numbers in decimal."""
    if not 0 <= number < 100:
        return str(number)
    tens, ones = divmod(number, 10)
    if not tens:
        return _CHINESE_DIGITS[ones]
    return ("" if tens == 1 else _CHINESE_DIGITS[tens]) + "十" + (_CHINESE_DIGITS[ones] if ones else "")


_FORMATS: dict[str, Callable[[int], str]] = {
    "decimalZero": lambda number: f"{number:02}",
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "chineseCounting": _chinese,
    "chineseCountingThousand": _chinese,
    "japaneseCounting": _chinese,
    "taiwaneseCounting": _chinese,
    "taiwaneseCountingThousand": _chinese,
    "none": lambda _: "",
}
