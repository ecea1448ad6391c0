from __future__ import annotations

import pytest

from ingest.parsing.cjk import close_gaps, is_spaced_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("关 于 红 军", "关于红军"),
        ("第 3 章 word 中 文", "第 3 章 word 中文"),
        ("中\n文", "中\n文"),
        ("plain words", "plain words"),
        ("한국어 문장", "한국어 문장"),
    ],
)
def test_blanks_between_ideographs_go(text: str, expected: str) -> None:
    """Line breaks, Latin words and Korean keep theirs."""
    assert close_gaps(text) == expected


def test_only_a_text_mostly_parted_by_blanks_is_spaced_out() -> None:
    """Deliberate blanks in ordinary Chinese are left alone."""
    assert is_spaced_out("关 于 红 军 作 战")
    assert not is_spaced_out("第一章 总则 本标准规定了要求")
    assert not is_spaced_out("no ideographs at all")
