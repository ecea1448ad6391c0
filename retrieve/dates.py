"""Dates in a question: the same day is looked up for as other people write it.

A day named in full, as `2024-01-05`, `5 January 2024` or `2024年1月5日`, adds the terms of the other ways.
Days in figures whose order nobody can tell (`5/1/2024`) are left as they are.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date

from retrieve.analysis import analyse_query

_MONTHS = {name[:3].lower(): number for number, name in enumerate(calendar.month_name) if number}
_MONTH = r"(?P<name>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_FORMS = tuple(
    re.compile(rf"(?<![A-Za-z0-9]){form}(?![A-Za-z0-9])", re.IGNORECASE)
    for form in (
        rf"{_YEAR}([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}})",
        rf"{_DAY} (?:of )?{_MONTH},? {_YEAR}",
        rf"{_MONTH} {_DAY},? {_YEAR}",
        rf"{_YEAR}年(?P<month>\d{{1,2}})月(?P<day>\d{{1,2}})[日号號]",
    )
)


def date_terms(text: str) -> list[str]:
    """Terms of other ways to write the days that the text names in full; those that it has already are left out."""
    days = list(dict.fromkeys(_days(text)))
    if not days:
        return []
    present = set(analyse_query(text))
    further = (term for day in days for way in _ways(day) for term in analyse_query(way))
    return [term for term in dict.fromkeys(further) if term not in present]


def _days(text: str) -> Iterator[date]:
    for form in _FORMS:
        for found in form.finditer(text):
            parts = found.groupdict()
            month = _month(parts["name"]) if "name" in parts else int(parts["month"])
            if month is not None:
                with suppress(ValueError):  # 31 February
                    yield date(int(parts["year"]), month, int(parts["day"]))


def _month(name: str) -> int | None:
    """1 to 12 of a month's name or an abbreviation of it; None for a word that only begins like one."""
    number = _MONTHS[name[:3].lower()]
    return number if calendar.month_name[number].lower().startswith(name.lower()) or name.lower() == "sept" else None


def _ways(day: date) -> tuple[str, ...]:
    """The day in figures, which the analyser joins to one term, and in words."""
    return day.isoformat(), f"{day.day} {calendar.month_name[day.month]} {day.year}"
