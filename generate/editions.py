"""Are two works editions of one, and does a question choose between them? Told by words, in English and Chinese."""

from __future__ import annotations

import re
from typing import Literal

from generate.quantities import quantities_of
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
_DRAFT = r"\b(?:drafts?|superseded|withdrawn|obsolete|archived|outdated)\b|草案|草稿|征求意见稿|送审稿|已废止|废止|作废"
_NOT_IN_FORCE = rf"{_DRAFT}|\b(?:old|previous|former|proposed)\b(?=\W*$)|旧版|原版"
_IN_FORCE = (
    r"\b(?:version|edition|revision|revised|amended|updated|for comments?)\b"
    r"|\b(?:final|current|latest|new|copy)\b(?=\W*$)"
    r"|试行|暂行|修订[版稿]?|修正[版稿]?|新版|最新|现行"
)
_EDITION = re.compile(f"{_DATED}|{_COUNTED}|{_NOT_IN_FORCE}|{_IN_FORCE}", re.IGNORECASE)
"""What tells an edition from another in a title: its date, its number, and words such as draft or revised."""

_SERIES = re.compile(
    r"\b(?:accounts|agenda|bulletin|diary|e?mails?|invoice|letters?|logs?|memos?|minutes|newsletter|notes|reports?|results"
    r"|reviews?|statements?|statistics|survey)\b|纪要|记录|报告|周报|月报|年报|简报|通知|发票|日志|邮件",
    re.IGNORECASE,
)
"""Works that tell what happened: the later one does not take the place of the earlier."""

_OUT_OF_FORCE = re.compile(_NOT_IN_FORCE, re.IGNORECASE)
_WORKS = (
    "agreement contract edition guide handbook manual plan policy price procedure proposal rate regulation rule tariff"
    " terms version"
)
_CHOSEN = re.compile(
    rf"{_COUNTED}|{_DRAFT}|\b(?:old|older|previous|former|earlier|proposed) (?:\w+ )?(?:{'|'.join(_WORKS.split())})"
    r"|旧版|原版|旧的?(?:规定|办法|制度|标准|合同)",
    re.IGNORECASE,
)


def are_editions(one: str | None, other: str | None) -> bool:
    """Whether two titles are those of different editions of one work: alike but for what tells editions apart. Never
    so of minutes, reports and the like.
    """
    work = _work(one or "")
    return bool(work) and one != other and work == _work(other or "") and not _SERIES.search(one or "")


def better_edition(one: str, other: str) -> tuple[Literal["one", "other"], Literal["authority", "date"]] | None:
    """Which of two editions counts, and why: one in force before a draft or a withdrawn one, else the later date or the
    higher number in the titles; None where they do not tell.
    """
    aside = [bool(_OUT_OF_FORCE.search(title)) for title in (one, other)]
    if aside[0] != aside[1]:
        return ("other" if aside[0] else "one"), "authority"
    for tell in (_dates, _numbers):
        mine, theirs = tell(one), tell(other)
        if mine and theirs and mine != theirs:
            return ("one" if mine > theirs else "other"), "date"
    return None


def day_of(title: str) -> str | None:
    """The latest whole day that the title names, as YYYY-MM-DD."""
    days = [day for day in _dates(title) if day[1]]
    return "{:04}-{:02}-{:02}".format(*days[0]) if days else None


def _dates(title: str) -> list[tuple[int, ...]]:
    """Days and years, the latest first; a year alone counts as its beginning."""
    found = quantities_of(title)
    days = [(year, month, day) for year, month, day in found.dates if year]
    return sorted({*days, *((year, 0, 0) for year in found.years)}, reverse=True)


def _numbers(title: str) -> list[tuple[int, ...]]:
    """Of the edition: (2, 1) of version 2.1."""
    counted = re.search(_COUNTED, title, re.IGNORECASE)
    return [tuple(int(digits) for digits in re.findall(r"\d+", counted.group()))] if counted else []


def names_edition(question: str) -> bool:
    """Whether the question says by a word or number which edition it is about. One that asks for the current rate
    leaves it to us; a year chooses only among titles that have it.
    """
    return bool(_CHOSEN.search(question))


@remembers_texts(1024)
def _work(title: str) -> frozenset[str]:
    """Terms of the title without those of its edition; other numbers stay: they tell parts of a work apart."""
    return frozenset(analyse_query(_EDITION.sub(" ", re.sub(r"[_-]+(?!\d{1,2}\b)", " ", title))))
