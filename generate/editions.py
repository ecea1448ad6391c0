"""Are two works editions of one, and does a question choose between them? Told by words, in English and Chinese."""

from __future__ import annotations

import re

from ingest.caches import remembers_texts
from retrieve.analysis import analyse_query

_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DATED = (
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? )?(?:{_MONTHS})(?: \d{{1,2}}(?:st|nd|rd|th)?)?,? (?=(?:19|20)\d\d\b)"
    r"|\b(?:19|20)\d\d(?:[-/.](?:\d{1,2}|(?:19|20)\d\d))*(?:年(?:\d{1,2}月)?(?:\d{1,2}日)?|\b)"
)
_COUNTED = (
    r"\b(?:version|edition|draft|issue|revision|release|rev|ver|v)\b\.? ?\d+(?:\.\d+)*|\bv\d+(?:\.\d+)*\b"
    r"|\b\d+(?:st|nd|rd|th) (?:edition|draft|revision|issue)\b|第[\d一二三四五六七八九十]+[版稿]"
)
_NOT_IN_FORCE = (
    r"\b(?:drafts?|superseded|withdrawn|obsolete|archived|outdated|old|older|previous|former|earlier|proposed)\b"
    r"|草案|草稿|征求意见稿|送审稿|旧版|原版|已废止|废止|作废|以前|之前的"
)
_IN_FORCE = (
    r"\b(?:final|version|edition|revision|revised|current|latest|new|newest|amended|updated|for comments?|copy)\b"
    r"|试行|暂行|修订[版稿]?|修正[版稿]?|新版|最新|现行"
)
_EDITION = re.compile(f"{_DATED}|{_COUNTED}|{_NOT_IN_FORCE}|{_IN_FORCE}", re.IGNORECASE)
"""What tells an edition from another in a title: its date, its number, and words such as draft or revised."""

_CHOSEN = re.compile(f"{_DATED}|{_COUNTED}|{_NOT_IN_FORCE}", re.IGNORECASE)
"""What chooses an edition in a question; one that asks for the current rate leaves it to us."""


def are_editions(one: str | None, other: str | None) -> bool:
    """Whether two titles are those of different editions of one work: alike but for what tells editions apart."""
    work = _work(one or "")
    return bool(work) and one != other and work == _work(other or "")


def names_edition(question: str) -> bool:
    """Whether the question says by itself which edition it is about."""
    return bool(_CHOSEN.search(question))


@remembers_texts(1024)
def _work(title: str) -> frozenset[str]:
    """Terms of the title without those of its edition; other numbers stay: they tell parts of a work apart."""
    return frozenset(analyse_query(_EDITION.sub(" ", re.sub(r"[_-]+(?!\d{1,2}\b)", " ", title))))
