"""What a question is looked up by in a lexical index: its terms, slips mended, days in other ways too."""

from __future__ import annotations

from retrieve.analysis import analyse_query
from retrieve.dates import date_terms
from retrieve.lexical.base import LexicalSnapshot
from retrieve.spelling import corrected


def query_terms(text: str, lexical: LexicalSnapshot, *, spelling: bool) -> list[str]:
    """Terms of a question for this index; `spelling` mends slips.

    Whether a term is known does not depend on who asks, as term statistics do not.
    """
    terms = analyse_query(text)
    mended = corrected(terms, lexical.documents_with) if spelling else terms
    return [*mended, *date_terms(text)]
