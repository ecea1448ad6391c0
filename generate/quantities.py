"""Figures in sentences: amounts with their units, dates; and what kind of thing a question asks for. By rule, in
English and Chinese.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ingest.caches import remembers_texts
from retrieve.analysis import analyse_document

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
}  # fmt: skip
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(_MONTHS)
_DIGIT = re.compile(r"\d")
_DATE = re.compile(
    rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m>{_MONTH})\b,?(?: (?P<y>\d{{4}}))?"
    rf"|\b(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y2>\d{{4}}))?"
    r"|\b(?P<y3>\d{4})-(?P<m3>\d{2})-(?P<d3>\d{2})\b"
    r"|(?:(?P<y4>\d{4})年)?(?P<m4>\d{1,2})月(?P<d4>\d{1,2})日",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![\d.,£$€¥])(?:1[0-9]|20)\d\d(?![\d.,]*\d)(?=年|\b)")
_CLOCK = re.compile(
    r"\b(?P<h>\d{1,2})(?:[:.](?P<min>\d\d))?\s?(?P<half>[ap])\.?m\b\.?|\b(?P<h2>\d{1,2}):(?P<min2>\d\d)\b"
    r"|(?P<zh>上午|下午|晚上|早上)?(?P<h3>\d{1,2})[点时](?!间|候|长)(?:(?P<min3>\d{1,2})分|(?P<mid>半))?",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    r"(?P<currency>[£$€¥])?\s?(?<![A-Za-z0-9_.])(?P<number>\d[\d,]*(?:\.\d+)?)(?:\s?(?P<scale>million|billion|thousand|万|亿))?"
    r"|\b(?P<word>" + "|".join(_WORDS) + r")\b",
    re.IGNORECASE,
)
_SCALE = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "万": 1e4, "亿": 1e8}
_SYMBOL = r"[A-Za-zµ]{1,3}[23²³]?(?:/[A-Za-z]{1,3}[23²³]?)+|[A-Za-zµ]{1,3}[23²³]"  # m3/s, km/h, m²
_UNIT = re.compile(
    rf"\s?(?:(?P<symbol>{_SYMBOL})(?![A-Za-z\d/])"
    r"|(?P<unit>[%％℃]|°[CF]?|[\u4e00-\u9fff]{1,2}|[A-Za-zµ]+(?:[ -][a-zA-Z]+){0,2}))"
)
_FUNCTION_WORDS = "and or to of in on at the a an by for from with per is are was were be as than that which"
_NO_UNIT = frozenset(_FUNCTION_WORDS.split())

_ASKS_TIME = re.compile(
    r"^\W*when\b|\b(?:what|which) (?:date|day|year|month|time)\b|何时|什么时候|哪一?[天年日]|几月|几点",
    re.IGNORECASE,
)
_ASKS_QUANTITY = re.compile(
    r"\bhow (?:many|much|long|far|tall|old|large|big|fast|high|deep|wide|often|soon)\b"
    r"|\b(?:what|which)\b.{0,40}\b(?:rate|rating|limit|number|amount|price|cost|fee|charge|percentage|share|speed|wind|"
    r"temperature|depth|length|width|height|weight|capacity|power|pay|allowance|distance|population|age|duration|"
    r"maximum|minimum|fare|threshold|pressure|voltage)\b"
    r"|多少|几[个名人次艘条岁天小分]|多[高长大远快深宽久]",
    re.IGNORECASE,
)
_ASKS_WHETHER = re.compile(
    r"^\W*(?:(?:may|can|could|must|should|shall|will|would|is|are|was|were|do|does|did|has|have|had)\b)"
    r"|吗[？?]?\s*$|是否|能否|可否|能不能|可不可以|是不是",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|only|without|prohibited|forbidden|refused|unless)\b|n['’]t\b"
    r"|不得|不能|不可|不准|不允许|不许|禁止|严禁|未经|仅限|只有|只能|没有|无需|不需|不必|并非|不是",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantities:
    """Dates as (year, month, day) with None where unsaid, years, times of the day in minutes, and amounts by each of
    their unit's terms.
    """

    dates: frozenset[tuple[int | None, int, int]]
    years: frozenset[int]
    clocks: frozenset[int]
    amounts: Mapping[str, frozenset[float]]

    @property
    def tells_time(self) -> bool:
        """Whether it names a day, a year or a time."""
        return bool(self.dates or self.years or self.clocks)

    def dates_differ(self, other: Quantities) -> bool:
        """Both name days, or else years, and none in common."""
        if self.dates and other.dates:
            return not any(_same_day(one, two) for one in self.dates for two in other.dates)
        if self.dates or other.dates:
            return False
        return len(self.years) == len(other.years) == 1 and self.years != other.years

    @property
    def years_named(self) -> frozenset[int]:
        """Years, alone and in dates."""
        return self.years | {year for year, _, _ in self.dates if year}

    def times_agree(self, other: Quantities) -> bool:
        """Both name a day, or else a year, or a time that is the same."""
        if self.dates and other.dates:
            return any(_same_day(one, two) for one in self.dates for two in other.dates)
        return bool(self.years & other.years or self.clocks & other.clocks)

    def amounts_agree(self, other: Quantities) -> bool:
        """Some unit has an amount that is in both."""
        return any(self.amounts[unit] & other.amounts[unit] for unit in self.amounts.keys() & other.amounts.keys())

    def clocks_differ(self, other: Quantities) -> bool:
        """Both name one time of the day, and no days that may explain it."""
        dated = self.dates or other.dates or self.years or other.years
        return not dated and len(self.clocks) == len(other.clocks) == 1 and self.clocks != other.clocks

    def clocks_apart(self, other: Quantities) -> bool:
        """Both name times of the day, and none in common."""
        return bool(self.clocks and other.clocks) and not self.clocks & other.clocks

    def amounts_differ(self, other: Quantities, counted: Collection[str] = ()) -> bool:
        """Some unit has amounts in both and none in common; where things are counted, both must count the same ones.
        Not so where they speak of different years or days.
        """
        mine, theirs = self.amounts.keys(), other.amounts.keys()
        shared = mine & theirs & set(counted) or mine & theirs
        if self._elsewhen(other) or (mine & set(counted)) != (theirs & set(counted)):
            return False
        different = [
            unit
            for unit in shared
            if not self.amounts[unit] & other.amounts[unit] and _alike(self.amounts[unit], other.amounts[unit])
        ]
        return bool(different) and not any(
            len(self.amounts[unit]) > 1 and len(other.amounts[unit]) > 1 for unit in different
        )

    def _elsewhen(self, other: Quantities) -> bool:
        mine, theirs = self.years_named, other.years_named
        return bool(mine and theirs and not mine & theirs)


@remembers_texts(4096)
def quantities_of(text: str) -> Quantities:
    """The figures of a sentence; those without a unit count for nothing."""
    dates, years, clocks, rest = _times_of(text) if _DIGIT.search(text) else (set(), set(), set(), text)
    amounts: dict[str, set[float]] = {}
    for match in _AMOUNT.finditer(rest):
        for unit in _units(match, rest):
            amounts.setdefault(unit, set()).add(_value(match))
    known = {unit: frozenset(values) for unit, values in amounts.items()}
    return Quantities(frozenset(dates), frozenset(years), frozenset(clocks), known)


def _times_of(text: str) -> tuple[set[tuple[int | None, int, int]], set[int], set[int], str]:
    """Dates, years and times of the day, and the text with blanks in their places."""
    dates, rest = set(), text
    for match in _DATE.finditer(text):
        dates.add(_date(match))
        rest = rest[: match.start()] + " " * len(match.group()) + rest[match.end() :]
    clocks = {_clock(match) for match in _CLOCK.finditer(rest)}
    rest = _CLOCK.sub(lambda match: " " * len(match.group()), rest)
    years = {int(match.group()) for match in _YEAR.finditer(rest)}
    return dates, years, clocks, _YEAR.sub(lambda match: " " * len(match.group()), rest)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in a text: its value, and where it stands."""

    value: float
    start: int
    end: int


def figures_of(text: str) -> list[Figure]:
    """Every figure in text order: years, days, clock hours and amounts alike; the word `one` counts for nothing."""
    return [
        Figure(_value(match), match.start(), match.end())
        for match in _AMOUNT.finditer(text)
        if (match["word"] or "").lower() != "one"
    ]


def asks_time(question: str) -> bool:
    """Whether the question asks for a date or a year."""
    return bool(_ASKS_TIME.search(question))


def asks_quantity(question: str) -> bool:
    """Whether the question asks for an amount."""
    return bool(_ASKS_QUANTITY.search(question))


def asks_whether(question: str) -> bool:
    """Whether the question is to be answered by yes or no."""
    return bool(_ASKS_WHETHER.search(question))


def denies(sentence: str) -> bool:
    """Whether the sentence denies or restricts something."""
    return bool(_DENIES.search(sentence))


def _date(match: re.Match[str]) -> tuple[int | None, int, int]:
    found = {name[0]: value for name, value in match.groupdict().items() if value is not None}
    month = found["m"].lower()
    return (
        int(found["y"]) if "y" in found else None,
        int(month) if month.isdigit() else _MONTHS.index(month) + 1,
        int(found["d"]),
    )


def _alike(some: Collection[float], others: Collection[float]) -> bool:
    """Whether some are within an order of magnitude: further apart, they measure other things."""
    return any(min(one, two) * 10 >= max(one, two) for one in some for two in others)


def _clock(match: re.Match[str]) -> int:
    """Minutes since midnight."""
    found = {name.rstrip("23"): value for name, value in match.groupdict().items() if value is not None}
    later = found.get("half", "a").lower() == "p" or found.get("zh") in ("下午", "晚上")
    hour = int(found["h"]) % 12 + 12 * later if "half" in found or "zh" in found else int(found["h"])
    return 60 * hour + int(found.get("min", 30 if "mid" in found else 0))


def _same_day(one: tuple[int | None, int, int], two: tuple[int | None, int, int]) -> bool:
    return one[1:] == two[1:] and (one[0] is None or two[0] is None or one[0] == two[0])


def _value(match: re.Match[str]) -> float:
    if match["word"]:
        return float(_WORDS[match["word"].lower()])
    return float(match["number"].replace(",", "")) * _SCALE.get((match["scale"] or "").lower(), 1.0)


def _units(match: re.Match[str], text: str) -> set[str]:
    """Terms that say what is counted: the currency, or the words right behind the figure."""
    if match["currency"]:
        return {match["currency"]}
    following = _UNIT.match(text, match.end())
    if following is None:
        return set()
    if following["symbol"]:
        symbol = unicodedata.normalize("NFKC", following["symbol"]).lower()
        return set() if _NO_UNIT.intersection(symbol.split("/")) else {symbol}
    unit = following["unit"]
    if unit[0] in "%％℃°":
        return {unit}
    words: list[str] = []
    for word in re.split(r"[ -]", unit):
        if word.lower() in _NO_UNIT:
            break
        words.append(word)
    return set(analyse_document(" ".join(words)))
