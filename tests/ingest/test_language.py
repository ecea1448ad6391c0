"""The language of a text."""

from __future__ import annotations

import pytest

from ingest.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The last ferry leaves the harbour at nine in the evening.", "en"),
        ("Die letzte Fähre verlässt den Hafen um neun Uhr abends.", "de"),
        ("Le dernier ferry quitte le port à neuf heures du soir.", "fr"),
        ("最后一班渡轮于晚上九点离开港口。", "zh"),
        ("最後のフェリーは午後九時に港を出ます。", "ja"),
        ("마지막 페리는 저녁 아홉 시에 항구를 떠납니다.", "ko"),
        ("BMS 电池管理系统 version 2 安装说明", "zh"),
        ("12.50", None),
        ("Fares", None),
        ("", None),
    ],
)
def test_detect_language(text: str, language: str | None) -> None:
    """By script for East Asian languages, by a model for others; None for too little text."""
    assert detect_language(text) == language


def test_only_the_beginning_is_looked_at() -> None:
    """A long document costs no more than a short one."""
    assert detect_language("港口" * 2000 + " The last ferry leaves the harbour." * 1000) == "zh"
