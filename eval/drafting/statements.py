"""Questions made of statements by rule: the part that is asked for is the answer, the rest is turned into a question.

English and Chinese, plain statements only; a sentence that no rule fits makes no question. Nothing is invented: the
answer stands in the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_CHARS = range(25, 241)
_CHINESE_CHARS = range(8, 121)
_CJK = re.compile(r"[\u4e00-\u9fff]")
_UNIT = r"(?:%|(?:percent|pence|pounds?|euros?|knots|metres?|miles?|km|kg|tonnes?|litres?|hours?|minutes?|days?|weeks?|months?|years?|m|dB|kW|MWh|V)\b)"  # noqa: E501
_FIGURE = rf"(?:[£€$] ?)?\d[\d,]*(?:\.\d+)?(?: (?:million|billion))?(?: ?{_UNIT})?(?: (?:per|an?) \w+)?"
_DATE = r"(?:(?:\d{1,2} )?(?:January|February|March|April|May|June|July|August|September|October|November|December) )?(?:1[5-9]|20)\d\d"  # noqa: E501
_TIME = r"\d{1,2}[:.]\d\d(?: ?[ap]m)?|\d{1,2} ?[ap]m|noon|midnight"
_NAME = r"(?:[A-Z][\w'’-]+ ){1,3}[A-Z][\w'’-]+"
_VERB = r"(?:\w+ed|built|held|made|sold|bought|set up|lost|won|written|begun|given|laid|sunk|let|led)"
_SUBJECT = r"(?P<s>[A-Z][^,;:()]{2,80}?)"
_REST = r"(?P<rest>[^,;:]{0,40}?)"
_BE = r"(?:is|are|was|were)"
_NO_SUBJECT = re.compile(
    r"(?:It|He|She|They|We|You|I|This|That|These|Those|There|Here|If|When|Where|Who|What|His|Her|Their|Its|Our|Both|Each"
    r"|(?:The|An?) [\w-]+ (?:is|are|was|were|costs?|has|holds|carries|opens|closes|starts|begins"
    r"|ends|leaves|departs|sails|must)"
    r"|Some|Such|Then|But|And|However|Also|Since|After|Before|In|On|At|By|For|From|With|As|Of|To)\b"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and its answer, which stands in `quote`, the sentence it was made of."""

    question: str
    answer: str
    quote: str


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str]]]

_RULES: tuple[_Rule, ...] = (
    (
        re.compile(rf"^{_SUBJECT} (?P<be>was|were) (?P<v>{_VERB}){_REST} (?:in|on) (?P<a>{_DATE})\b"),
        lambda m: (f"When {m['be']} {_inside(m['s'])} {m['v']}{m['rest']}", m["a"]),
    ),
    (
        re.compile(rf"^(?P<a>{_NAME}) (?P<be>is|was) (?P<role>the [a-z][^,;:.]{{3,60}})(?:[,;.]|$)"),
        lambda m: (f"Who {m['be']} {m['role']}", m["a"]),
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<v>opens|closes|starts|begins|ends|leaves|departs|sails) at (?P<a>{_TIME})"),
        lambda m: (f"At what time does {_inside(m['s'])} {_bare(m['v'])}", m["a"]),
    ),
    (
        re.compile(rf"^{_SUBJECT} (?P<v>costs?) (?P<a>{_FIGURE})"),
        lambda m: (f"How much {'does' if m['v'] == 'costs' else 'did'} {_inside(m['s'])} cost", m["a"]),
    ),
    (
        re.compile(rf"^{_SUBJECT} (?:has|holds|carries) (?P<a>\d[\d,]*) (?P<n>[a-z]+s)\b"),
        lambda m: (f"How many {m['n']} does {_inside(m['s'])} have", m["a"]),
    ),
    (
        re.compile(rf"^{_SUBJECT} must be (?P<v>{_VERB}){_REST} within (?P<a>{_FIGURE})"),
        lambda m: (f"Within what time must {_inside(m['s'])} be {m['v']}{m['rest']}", m["a"]),
    ),
    (
        re.compile(rf"^(?!\S+ {_BE} ){_SUBJECT} (?P<be>{_BE}) (?:set at |limited to )?(?P<a>{_FIGURE})(?=[ ,;.]|$)"),
        lambda m: (f"What {m['be']} {_inside(m['s'])}", m["a"]),
    ),
)  # fmt: skip
_CHINESE_RULES: tuple[_Rule, ...] = (
    (
        re.compile(r"^(?P<s>[^，。；：]{2,20})[于於在](?P<a>\d{4}年)(?P<v>[^，。；：]{2,20})"),
        lambda m: (f"{m['s']}在哪一年{m['v']}？", m["a"]),
    ),
    (
        re.compile(r"^(?P<s>[^，。；：]{2,24})(?:是|为|為)(?P<a>\d[\d,.]*[^，。；：\s]{0,6})"),
        lambda m: (f"{m['s']}是多少？", m["a"]),
    ),
)


def question_of(sentence: str) -> Asked | None:
    """The question that the first fitting rule makes; None where none fits, or where the subject needs its context."""
    quote = sentence.strip()
    chinese = bool(_CJK.search(quote))
    if len(quote) not in (_CHINESE_CHARS if chinese else _CHARS) or _NO_SUBJECT.match(quote):
        return None
    for pattern, make in _CHINESE_RULES if chinese else _RULES:
        if (found := pattern.match(quote)) is not None:
            question, answer = make(found)
            return Asked(question if chinese else f"{' '.join(question.split())}?", answer.strip(), quote)
    return None


def _inside(subject: str) -> str:
    """The subject as it stands inside a question: its first word in lower case, unless it begins a name of several."""
    first, space, rest = subject.partition(" ")
    named = rest[:1].isupper() and first not in ("The", "A", "An", "All", "Every")
    return subject if named or (first.isupper() and len(first) > 1) else f"{first.lower()}{space}{rest}"


def _bare(verb: str) -> str:
    return verb.removesuffix("s") if verb != "closes" else "close"
