"""Sentences changed by rule: light edits and restatements that keep the meaning, and four kinds of change that do not.

They stand in for what a language model writes when the support checker is fitted and measured. English, and the plain
ones also Chinese. Deterministic for a random generator.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence


def _pairs(text: str) -> dict[str, str]:
    """`a/b c_d/e` -> {"a": "b", "c d": "e"}"""
    return dict(pair.replace("_", " ").split("/") for pair in text.split())


_SYNONYMS = _pairs(
    "began/started started/began large/big approximately/about about/roughly located/situated founded/established"
    " established/founded built/constructed constructed/built however/but many/numerous obtained/got received/got"
    " created/made primarily/mainly mainly/chiefly often/frequently near/close_to include/comprise"
    " including/among_them also/as_well city/town called/named known/referred_to used/employed shows/demonstrates"
    " said/stated killed/slain children/kids house/home part/portion led/headed help/aid several/some"
    " died/passed_away king/monarch country/nation area/region became/turned_into important/significant"
    " common/widespread purpose/aim required/needed due/owing wrote/penned job/position big/large small/little"
    " quickly/fast film/movie"
)
_PARENTHESIS = re.compile(r"\s*\([^()]*\)|（[^（）]*）|\s*\[[^\[\]]*\]")
_LEADING = re.compile(r"^((?:In|On|At|By|During|After|Before|From|Since|For|Under|As)\b[^,;:]{2,60}), (.{25,})([.!?])$")
_RELATIVE = re.compile(
    r", (?:which|who|whose|where|including|such as|as well as|though|although)\b[^,;:.]{3,90}(?:,|(?=[.!?]$))"
)
_ADVERB = re.compile(
    r" (?:also|then|still|however|therefore|thus|generally"
    r"|usually|often|mainly|primarily|widely|originally|finally|eventually|later)(?= )"
)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_DIGITS = {
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
    "10": "ten",
    "12": "twelve",
}
_SMALL = re.compile(r"(?<![\d.,$£€-])\b(?:[2-9]|10|12)\b(?![\d.,%-]|th)")
_SPELLED = re.compile(r"\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve)\b")
_FIGURE = re.compile(r"(?<![A-Za-z\d.,])\d[\d,]*(?:\.\d+)?(?![A-Za-z\d])|\b(?:1\d|20)\d\d(?=s\b)")
_NAME = re.compile(r"(?<=[a-z,;)] )[A-Z][\w'’-]+(?: (?:of |the |de |von )?[A-Z][\w'’-]+)*")
_AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|could|will|would|may|might|must|should)\b(?! not\b|n't)"
)
_PAST = re.compile(r"(?<=\w )(?=(?:\w+ed|became|began|led|won|wrote|made|took|gave|held|left|went|came|grew|built)\b)")
_NEGATION = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|will|would|may|might|must|should|do|does|did) not\b|\bnever "
)
_OPPOSITES = _pairs(
    "increased/decreased increase/decrease higher/lower highest/lowest largest/smallest larger/smaller"
    " before/after earlier/later first/last north/south northern/southern east/west eastern/western more/less"
    " most/least won/lost above/below always/never all/none with/without rich/poor strong/weak legal/illegal"
    " public/private positive/negative allowed/prohibited supported/opposed accepted/rejected"
)
_AUX = "is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might"
_SUBJECT_QUESTION = re.compile(
    rf"^(?:who|what|which [a-z]+)(?! \w+(?: \w+){{0,3}} (?:{_AUX})\b)"
    rf" (?!(?:{_AUX}|of|type|kind)\b)(\w+(?:s|ed|ght)|led|won|wrote|began|"
    r"became|took|held|built|made|gave|ran|said) (.+?)\??$",
    re.IGNORECASE,
)
_IDENTITY_QUESTION = re.compile(
    r"^(?:who|what) (is|are|was|were) ((?:the|a|an|his|her|their|its) .+?)\??$", re.IGNORECASE
)
_PASSIVE_QUESTION = re.compile(
    r"^(when|where|in what year|in which year|in what city|in what country|by whom)"
    r" (is|are|was|were) (.{3,60}?) (\w+ed|built|made|born|held|"
    r"written|found|given|taken|won|sold|sent|known|shown|chosen|led|fought|located)((?: .+?)?)\??$",
    re.IGNORECASE,
)
_PAST_OF = _pairs(
    "begin/began become/became die/died win/won write/wrote take/took leave/left build/built go/went come/came"
    " make/made get/got give/gave hold/held lead/led meet/met lose/lost move/moved live/lived arrive/arrived"
    " open/opened end/ended start/started join/joined marry/married happen/happened occur/occurred use/used"
    " create/created publish/published receive/received discover/discovered invent/invented want/wanted"
    " play/played find/found say/said see/saw fight/fought grow/grew fall/fell sign/signed introduce/introduced"
    " establish/established"
)
_DID_QUESTION = re.compile(
    r"^(when|where|in what year|in which year|what|who) did (.{3,50}?) (" + "|".join(_PAST_OF) + r")\b(.*?)\??$",
    re.IGNORECASE,
)
_PLACE_OF = {"when": "in", "where": "in", "by whom": "by", "what": "", "who": ""}

_CJK = re.compile(r"[\u4e00-\u9fff]")
_CHINESE_QUESTION = re.compile(
    r"哪一?[个個位座条條年种種家部支本场場届屆](?:[国國]家|城市|地方|地区|地區)?|哪[里裡儿兒些]|什[么麼]時候|什么时候|什[么麼](?:地方|人|名字|职业|職業)?|谁|誰|何時|何时"
    r"|何地|何處|何处|多少|几(?=[年月日个位座条岁次人])|幾(?=[年月日個位座條歲次人])"
)
_CHINESE_VERB = re.compile(
    r"(?<![不没沒])(?:(?=是(?!否)|能|会|會|可以|在(?=[^，。]{2,12}[年月日市县縣省国國])|属|屬|位于|位於)|(?=有))"
)

Edit = Callable[[str, random.Random], str]


def edited(sentence: str, rng: random.Random, *, edits: int = 2) -> str | None:
    """The sentence after up to `edits` light edits that keep its meaning; None where none applies."""
    result, made = sentence, 0
    for edit in rng.sample(_EDITS, len(_EDITS)):
        if made == edits:
            break
        changed = _tidy(edit(result, rng))
        if changed != result and len(changed) >= 20:
            result, made = changed, made + 1
    return result if made else None


def restated(question: str, answer: str) -> str | None:
    """Question and answer as one statement (`Who built it?`, `Ada` -> `Ada built it.`); None for other questions."""
    question, answer = question.strip(), answer.strip().rstrip(".")
    if _CJK.search(question):
        found = _CHINESE_QUESTION.search(question)
        return f"{question[: found.start()]}{answer}{question[found.end() :].rstrip('？?')}。" if found else None
    if found := _SUBJECT_QUESTION.match(question):
        return _statement(f"{answer} {found[1]} {found[2]}")
    if found := _IDENTITY_QUESTION.match(question):
        return _statement(f"{found[2]} {found[1]} {answer}")
    if found := _PASSIVE_QUESTION.match(question):
        place = _PLACE_OF.get(found[1].lower(), "in")
        return _statement(f"{found[3]} {found[2]} {found[4]}{found[5]} {_placed(place, answer)}")
    if found := _DID_QUESTION.match(question):
        place = _PLACE_OF.get(found[1].lower(), "in")
        if place:
            return _statement(f"{found[2]} {_PAST_OF[found[3].lower()]}{found[4]} {_placed(place, answer)}")
        return _statement(f"{found[2]} {_PAST_OF[found[3].lower()]} {answer}{found[4]}")
    return None


def swapped(sentence: str, names: Sequence[str], rng: random.Random) -> str | None:
    """The sentence with one number changed, or one name exchanged for one of `names`; None where it has neither."""
    places = [*_FIGURE.finditer(sentence), *_NAME.finditer(sentence)]
    if not places:
        return None
    place = rng.choice(places)
    held = place.group()
    if held[0].isdigit():
        other = _other_figure(held, rng)
    else:
        others = [name for name in names if not set(name.lower().split()) & set(sentence.lower().split())]
        if not others:
            return None
        other = rng.choice(others)
    return sentence[: place.start()] + other + sentence[place.end() :]


def negated(sentence: str, rng: random.Random) -> str | None:
    """The sentence with its verb denied, a denial removed, or a word turned into its opposite; None where no rule
    applies.
    """
    if _CJK.search(sentence):
        return _denied_in_chinese(sentence)
    if found := _NEGATION.search(sentence):
        return _tidy(sentence[: found.start()] + (found[1] or "") + " " + sentence[found.end() :])
    ways = [way for way in (_denied, _never, _opposed) if way(sentence, rng) is not None]
    return rng.choice(ways)(sentence, rng) if ways else None


def names_in(text: str) -> list[str]:
    """Runs of capitalised words inside sentences."""
    return list(dict.fromkeys(_NAME.findall(text)))


def _denied_in_chinese(sentence: str) -> str | None:
    found = _CHINESE_VERB.search(sentence)
    if found is None:
        return None
    negator = "没" if sentence[found.start()] == "有" else "不"
    return sentence[: found.start()] + negator + sentence[found.start() :]


def _denied(sentence: str, rng: random.Random) -> str | None:
    found = _AUXILIARY.search(sentence)
    if found is None:
        return None
    short = found.group() not in ("may", "might", "am") and rng.random() < 0.3
    denied = (
        {"can": "cannot", "will": "won't"}.get(found.group(), f"{found.group()}n't")
        if short
        else f"{found.group()} not"
    )
    return sentence[: found.start()] + denied + sentence[found.end() :]


def _never(sentence: str, rng: random.Random) -> str | None:
    found = _PAST.search(sentence)
    return None if found is None else sentence[: found.start()] + "never " + sentence[found.end() :]


def _opposed(sentence: str, rng: random.Random) -> str | None:
    for one, other in (*_OPPOSITES.items(), *((b, a) for a, b in _OPPOSITES.items())):
        if re.search(rf"\b{one}\b", sentence):
            return re.sub(rf"\b{one}\b", other, sentence, count=1)
    return None


def _other_figure(held: str, rng: random.Random) -> str:
    value = held.replace(",", "")
    if "." in value:
        return f"{float(value) + rng.choice([-1, 1]) * (0.3 + rng.random() * float(value)):.1f}".lstrip("-")
    number = int(value)
    if 1000 <= number < 2100 and "," not in held:
        return str(number + rng.choice([-1, 1]) * rng.randint(1, 40))
    other = max(1, number + rng.choice([-1, 1]) * rng.randint(1, max(3, number // 2)))
    other = number + 2 if other == number else other
    return f"{other:,}" if "," in held else str(other)


def _without_parentheses(sentence: str, rng: random.Random) -> str:
    return _PARENTHESIS.sub("", sentence)


def _without_first_clause(sentence: str, rng: random.Random) -> str:
    """Of a Chinese sentence, what follows its first comma."""
    _, comma, tail = sentence.partition("，")
    return tail if comma and len(tail) >= 20 else sentence


def _moved_lead(sentence: str, rng: random.Random) -> str:
    found = _LEADING.match(sentence)
    if found is None:
        return sentence
    lead = found[1][0].lower() + found[1][1:]
    return f"{found[2][0].upper()}{found[2][1:]} {lead}{found[3]}"


def _without_relative(sentence: str, rng: random.Random) -> str:
    return _RELATIVE.sub("", sentence, count=1)


def _without_adverb(sentence: str, rng: random.Random) -> str:
    return _ADVERB.sub("", sentence)


def _with_synonym(sentence: str, rng: random.Random) -> str:
    held = [word for word in re.findall(r"[a-z]+", sentence) if word in _SYNONYMS]
    if not held:
        return sentence
    word = rng.choice(held)
    return re.sub(rf"\b{word}\b", _SYNONYMS[word], sentence, count=1)


def _with_other_digits(sentence: str, rng: random.Random) -> str:
    changed = _THOUSANDS.sub("", sentence)
    changed = _SMALL.sub(lambda found: _DIGITS[found.group()], changed)
    words = {word: digit for digit, word in _DIGITS.items()}
    return changed if changed != sentence else _SPELLED.sub(lambda found: words[found.group()], sentence)


def _cut_tail(sentence: str, rng: random.Random) -> str:
    """Without what follows the last comma or semicolon, where enough is left."""
    head, comma, tail = sentence.rstrip(".").rpartition(", ")
    return (
        f"{head}." if comma and len(head) >= 60 and len(tail) >= 15 and not tail.startswith(("and", "or")) else sentence
    )


def _led_in(sentence: str, rng: random.Random) -> str:
    if _CJK.search(sentence):
        return f"{rng.choice(['根据文件，', '文中提到，'])}{sentence}"
    lead = rng.choice(["According to the document,", "It is stated that", "The text says that"])
    body = sentence[0].lower() + sentence[1:] if _LOWERABLE.match(sentence) else sentence
    return f"{lead} {body}"


_LOWERABLE = re.compile(
    r"(?:The|An?|In|On|At|By|It|This|These|Those|There|As|After|Before|During|While|When"
    r"|Since|For|Most|Many|Some|All|He|She|They) "
)
_EDITS: tuple[Edit, ...] = (
    _without_parentheses, _moved_lead, _without_relative, _without_adverb, _with_synonym, _with_other_digits, _cut_tail,
    _led_in, _without_first_clause,
)  # fmt: skip


def _placed(place: str, answer: str) -> str:
    begins = answer.split(" ", 1)[0].lower()
    return (
        answer
        if begins in ("in", "on", "at", "by", "from", "near", "during", "after", "before", "around")
        else f"{place} {answer}"
    )


def _statement(text: str) -> str:
    text = _tidy(text.rstrip(" ?."))
    return f"{text[0].upper()}{text[1:]}."


def _tidy(text: str) -> str:
    text = re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s{2,}", " ", text)).strip()
    return re.sub(r",\s*\.$", ".", text)
