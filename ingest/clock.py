"""The one way to read the time: UTC, as the sortable text that the catalogue stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now() -> str:
    """The present as ISO 8601 UTC with microseconds, for example `2026-01-31T09:30:00.000000Z`; sorts as text."""
    return _text(datetime.now(UTC))


def in_future(seconds: float) -> str:
    """The moment `seconds` from now, in the form of `now`."""
    return _text(datetime.now(UTC) + timedelta(seconds=seconds))


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
