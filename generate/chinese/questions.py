"""What a Chinese question asks for. Its asking phrase stands where the answer stands in the statement (wh in situ), so
the words before and after it are those to be looked for before and after the answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from generate.chinese.text import folded, words

KINDS = ("time", "number", "person", "place", "why", "how", "which", "what", "none")
"""Kinds of things asked for; `which` and `what` come with a noun where the question names one."""

_ASKING: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "why",
        re.compile(
            r"为[什甚]么|为何|何故|何以|因何|怎么会|[什甚]么原因|[什甚]么理由|原因(?:是|为|在于)(?:[什甚]么|何)?|原因为?(?=[？?]?$)"
        ),
    ),
    (
        "time",
        re.compile(
            r"哪几?一?个?(?:年代?|月份?|[日天](?!皇)|世纪)|几(?:年代?|世纪|月几?[日号]?)|几时|几点|何[时年月日]|[什甚]么时[候间]"
            r"|(?:哪一?个?|[什甚]么|何种?)(?:年代|世纪|时期|朝代|年份|时间|日期|时代|季节)|多久|多长时间"
        ),
    ),
    ("number", re.compile(r"第几|百分之(?:几|多少)|多少|几(?=[^何乎]|$)|多[高长大远快深宽重](?=[？?]?$)|何种程度")),
    ("person", re.compile(r"是?谁|何人|[什甚]么人|哪一?[位名](?:人|人物)?|哪些人|哪个人")),
    (
        "place",
        re.compile(
            r"哪[里儿]|何[处地]|[什甚]么地[方区点]|(?:哪一?|[什甚]么)(?:些|个|座|处)?(?:国家|城市|地区|地方|省份?|州|县|市|国|岛|洲|地点|位置|区域|大洲)"
        ),
    ),
    ("how", re.compile(r"怎么样?|怎样|如何")),
    (
        "which",
        re.compile(
            r"[哪那](?:一|些|两|三|四|几)?(?:个|种|部|家|所|支|项|位|名|座|款|条|类|本|间|场|艘|首|次|方|样|只|段|届)?"
        ),
    ),
    ("what", re.compile(r"(?:是|做|叫做?|为)?(?:[什甚]么|何种|何物|何)(?:样的?|种)?")),
)
_MEASURE = re.compile(r"[个名位种座部张枚次条艘只家所项届款颗]")
_SKIPPED = re.compile(r"[？?。，,、\s]+")


@dataclass(frozen=True, slots=True)
class Focus:
    """The kind of thing asked for, the folded question before and after its asking phrase, the noun asked for ("")."""

    kind: str
    left: str
    right: str
    head: str


def focus_of(question: str) -> Focus:
    """The focus of a question in Chinese; of kind `none`, with all of it on the left, where nothing is asked."""
    text = _SKIPPED.sub(lambda found: "，" if found.end() < len(question) else "", folded(question))
    for kind, pattern in _ASKING:
        found = list(pattern.finditer(text))
        if found and found[-1].group():
            place = found[-1]
            return Focus(kind, text[: place.start()], text[place.end() :], _head(text[place.end() :]))
    return Focus("none", text, "", "")


def _head(right: str) -> str:
    """The last noun of the words that follow the asking phrase, up to the first word that is none."""
    last = ""
    for word in words(right):
        text = right[word.start : word.end]
        if word.tag[0] in "nlijq" or word.tag in {"vn", "an", "eng"}:
            last = text if not _MEASURE.fullmatch(text) else last
        elif text not in {"的", "之"}:
            break
    return last
