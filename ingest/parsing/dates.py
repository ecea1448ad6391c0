"""Reads the dates that documents state of themselves: ISO 8601, PDF (`D:20240131...`), mail (RFC 5322)."""

from __future__ import annotations

import re
from datetime import date
from email.utils import parsedate_to_datetime

_DIGITS = re.compile(r"(?:D:)?\s*(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})")


def parse_date(value: str | None) -> date | None:
    """The calendar day that `value` names in its own time zone, or None where it names none."""
    if not value:
        return None
    return _numeric(value) or _mail(value)


def _numeric(value: str) -> date | None:
    found = _DIGITS.match(value.strip())
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _mail(value: str) -> date | None:
    try:
        return parsedate_to_datetime(value).date()
    except (TypeError, ValueError, IndexError):
        return None
