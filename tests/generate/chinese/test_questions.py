"""What Chinese questions ask for, and where their words stand around the asking phrase."""

from __future__ import annotations

from typing import Any

import pytest

from generate.chinese import text as text_module
from generate.chinese.questions import focus_of
from generate.chinese.text import folded, words


@pytest.mark.parametrize(
    ("question", "kind", "left", "right", "head"),
    [
        ("團結工會於何年開始執政?", "time", "团结工会于", "开始执政", ""),
        ("张永海在哪一年回到了辽宁队？", "time", "张永海在", "回到了辽宁队", ""),
        ("中國移動通信和哪一家公司合併?", "which", "中国移动通信和", "公司合并", "公司"),
        ("《般若經》是由誰所譯?", "person", "《般若经》是由", "所译", ""),
        ("哪一個地區禁止無期徒刑?", "place", "", "禁止无期徒刑", ""),
        ("多少毫米為長崎縣的年降水量?", "number", "", "毫米为长崎县的年降水量", "毫米"),
        ("希腊人为什么封锁了隘道？", "why", "希腊人", "封锁了隘道", ""),
        ("「Harvey」是甚麼動物?", "what", "「harvey」", "动物", "动物"),
        ("廣東的魚米之鄉為？", "none", "广东的鱼米之乡为", "", ""),
    ],
)
def test_the_asking_phrase_divides_the_question(question: str, kind: str, left: str, right: str, head: str) -> None:
    """Folded, without final marks; the noun asked for is the last one right behind the phrase."""
    focus = focus_of(question)
    assert (focus.kind, focus.left, focus.right) == (kind, left, right)
    assert not head or focus.head == head


@pytest.mark.parametrize(
    "text", ["聯合國開發計劃署（UNDP）於1965年成立。", "臺灣—後里﹑ﬁre ℃ 100％", "𠮷野家は日本の㍻。"]
)
def test_folding_moves_no_character(text: str) -> None:
    """Offsets in the folded text are offsets in the text."""
    assert len(folded(text)) == len(text)
    assert folded("ＡＢＣ１２３臺") == "abc123台"


def test_words_cover_the_text_without_a_gap() -> None:
    """White space and marks are words, too."""
    text = folded("渡船 MV Fulmar 在風速34節時停航，2024年起實行。")
    cut = words(text)
    assert [word.start for word in cut] == [0, *(word.end for word in cut[:-1])]
    assert cut[-1].end == len(text)


def test_words_are_not_guessed_at_where_characters_are_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    """jieba's model of unknown words takes milliseconds for each: full of them, a text is cut without it."""
    tagger, known = text_module._CHINESE.load()
    guessed: dict[str, bool] = {}

    class Watched:
        def lcut(self, text: str, HMM: bool) -> list[Any]:  # noqa: N803 - jieba's name
            guessed[text] = HMM
            return tagger.lcut(text, HMM=HMM)

    monkeypatch.setattr(text_module._CHINESE, "_loaded", (Watched(), known))
    strange = "龘靐齉爩鱻麤龗灪"
    named, hostile = f"工程师陈志明设计了{strange[:2]}号", f"工程师陈志明设计了{strange}"
    assert ("陈志明", "nr") in {(named[w.start : w.end], w.tag) for w in words(named)}
    assert words(hostile)[-1].end == len(hostile)
    assert guessed == {named: True, hostile: False}
