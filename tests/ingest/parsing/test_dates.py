from __future__ import annotations

from datetime import date

import pytest

from ingest.parsing.dates import parse_date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-01-31", date(2024, 1, 31)),
        ("2024-01-31T23:59:00-08:00", date(2024, 1, 31)),
        ("D:20240131120000+01'00'", date(2024, 1, 31)),
        ("Wed, 31 Jan 2024 10:28:53 -0600", date(2024, 1, 31)),
        ("2024-13-31", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_of_documents(value: str | None, expected: date | None) -> None:
    """ISO, PDF and mail dates; nonsense is no date."""
    assert parse_date(value) == expected
