"""A day in a question is found as others write it; what is no day adds nothing."""

from __future__ import annotations

import pytest

from retrieve.analysis import analyse_document, analyse_query
from retrieve.dates import date_terms

WAYS = [
    "2024-01-05",
    "2024/1/5",
    "5 January 2024",
    "5th of Jan. 2024",
    "January 5, 2024",
    "jan 5th 2024",
    "2024年1月5日",
]


@pytest.mark.parametrize("asked", WAYS)
@pytest.mark.parametrize("written", ["2024-01-05", "5 January 2024"])
def test_a_day_is_found_however_it_is_asked_for(asked: str, written: str) -> None:
    """The question's terms and the further ones hold what tells the document's day from another of the month."""
    terms = [*analyse_query(f"who left on {asked}?"), *date_terms(f"who left on {asked}?")]
    assert set(analyse_document(written)) <= set(terms)
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize(
    "text",
    ["", "may 2024", "5/1/2024", "2024-13-05", "2024-02-31", "1 marching 2024", "version 1.2024.01.053", "0000-01-05"],
)
def test_what_names_no_day_adds_nothing(text: str) -> None:
    """Months, ambiguous figures, days that do not exist, words like months, and longer numbers."""
    assert date_terms(text) == []
