"""Follow-up questions made to stand alone by rule: the entity of the question before takes the place of the pronoun,
or the new fragment takes the place of the old entity. A question that names its own subject is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import reduce

from ingest.sentences import cjk_share

_NAME = re.compile(r"(?:[A-Z0-9][\w'’&.-]*)(?: (?:of|the|and|de|von) (?=[A-Z])| (?=[A-Z0-9]))?")
_QUESTION_WORDS = (
    "what which who whom whose when where why how is are was were do does did has have had can could may might must"
    " shall should will would in on at for from to with by and or but the a an i if of please tell about"
)
_QUESTION_START = frozenset(_QUESTION_WORDS.split())
_PERSONAL_WORDS = "i we you he she they it my our your his her their its this that"
_NO_NAME_START = _QUESTION_START | frozenset(_PERSONAL_WORDS.split())
_STOP = (
    r"(?:is|are|was|were|be|been|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would|that|which|"
    r"who|when|where|how|why|what|if|and|or|but|it|they|he|she|we|you|i|there|from|by|with|before|after|during|until|"
    r"since|than|as|not|to|of|for|at|on|in)"
)
_WORD = rf"(?!{_STOP}\b)[\w'’-]+"
_PHRASE = re.compile(
    rf"\b(?:the|an?|our|this)\s+{_WORD}(?:\s+{_WORD}){{0,3}}"
    rf"(?:\s+(?:of|for|at|on|in)\s+(?:(?:the|an?|our)\s+)?{_WORD}(?:\s+{_WORD}){{0,2}})*",
    re.IGNORECASE,
)
_POSSESSIVE = re.compile(r"\b(?:its|their|his|her)\b(?= \w)", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|they|them|he|she|him|her)\b(?!['’]s\b)", re.IGNORECASE)
_DEMONSTRATIVE = re.compile(
    r"\b(?:this|that|these|those|the same) (?P<noun>(?!is\b|was\b|are\b)[a-z-]+)", re.IGNORECASE
)
_TEMPORAL = re.compile(
    r"(?:this|these|that|those) (?:year|month|week|weekend|day|morning|afternoon|evening|night|time|moment|spring|"
    r"summer|autumn|winter|season)s?\b",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"\b(?:this|that|these|those)(?= (?:is|are|was|were|do|does|did|has|have|mean|cost|apply)\b|\W*$)", re.I
)
_IMPERSONAL = re.compile(
    r"\bit (?:takes?|took|rains?|snows?|possible|necessary|allowed|true|safe)\b|\b(?:is|was|does|will) it "
    r"(?:take|rain|snow|possible|necessary|allowed|true|safe|ok|okay)\b"
    r"|\b(?:does|did|will|would|is) it (?:going to )?(?:cost|be|have|need|get)\b(?: \w+)?(?: \w+)? to\b"
    r"|^\W*how (?:windy|stormy|rough|wet|hot|warm|cold|dark|late|early)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"^\W*(?:(?:and|but|or|so|then)\b\W*)?(?P<word>[\w'’]+)", re.IGNORECASE)
_SECOND_CLAUSE = re.compile(r"\w+ (?:\w+ ){3,}and (?:what|how|when|where|who|which|why)\b", re.IGNORECASE)
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|we|us|our)\b", re.IGNORECASE)
_ELLIPSIS = re.compile(
    r"^\W*(?:and|but|or|so|then)?,?\s*(?:what about|how about|and)\s+(?P<rest>.+?)\W*$", re.IGNORECASE
)
_PREPOSITION = re.compile(
    r"^(?P<word>for|in|on|at|to|from|by|with|during|after|before|under|since|of)\s+", re.IGNORECASE
)
_PLACE = r"\b(?:from|in|at|to|on|near|via)(?: the)?"
_HAS_VERB = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|should|will|would)\b", re.IGNORECASE
)

_ZH_PRONOUN = re.compile(
    r"它们|他们|她们|它|他(?!人)|她|该(?=[\u4e00-\u9fff])|其(?!他|中|它)|这个|那个|这艘|那艘|这(?=[是有])"
)
_ZH_ELLIPSIS = re.compile(r"^(?:那么|那|还有)?(?P<rest>[^，,？?]{1,30})呢[？?]?$")
_ZH_HEAD_END = re.compile(
    r"的|是|为|在|有|由|被|从|到|什么|多少|何时|何地|谁|哪|怎么|怎样|如何|吗|需要|可以|应该|应当|必须|能否|是否|几"
)


class FollowUpRewriter:
    """Carries the entity of the latest question over, by rule. Implements `retrieve.QueryRewriter`."""

    async def rewrite(self, question: str, history: Sequence[str]) -> str:
        """Each question of the history is made to stand alone first: a caller that keeps the conversation itself sends
        them as they were asked.
        """
        return (
            reduce(lambda before, text: carry_over(text, before), [*history[1:], question], history[0])
            if history
            else question
        )


def carry_over(question: str, before: str) -> str:
    """`question` with what it leaves unsaid taken from the question before it; unchanged where nothing is left unsaid.

    >>> carry_over("When was it built?", "How tall is the Eiffel Tower?")
    'When was the Eiffel Tower built?'
    >>> carry_over("And for a motorcycle?", "What is the mileage rate for a private car?")
    'What is the mileage rate for a motorcycle?'
    """
    if cjk_share(question) > 0.3:
        return _carry_over_chinese(question, before)
    fragment = _ELLIPSIS.match(question)
    if fragment is not None and not _HAS_VERB.search(fragment["rest"]):
        return _with_fragment(fragment["rest"], before)
    subject = subject_of(before)
    if subject is None or _IMPERSONAL.search(question):
        return question
    place = _POSSESSIVE.search(question) or _PRONOUN.search(question) or _BARE.search(question)
    if place is not None:
        if _explained_before(place, question):
            return question
        possessive = place.re is _POSSESSIVE
        return question[: place.start()] + subject + ("'s" if possessive else "") + question[place.end() :]
    pointed = _DEMONSTRATIVE.search(question)
    if pointed is not None and not names_in(question) and _points_back(pointed, question):
        return f"{question[: pointed.end()]} ({subject}){question[pointed.end() :]}"
    return question


def _explained_before(place: re.Match[str], question: str) -> bool:
    """Whether the words before a pronoun say whom or what it means: a name, a clause of the question's own, or a noun
    and its verb before a possessive. Of people, also where somebody speaks of himself: "what do they pay me?".
    """
    before = question[: place.start()]
    asks = _ASKS.match(question)
    if names_in(before) or asks is None:
        return True
    stated = asks["word"].lower() not in _QUESTION_START - {"i", "if", "a", "an", "the"}
    if (stated and len(before.split()) > 2) or _SECOND_CLAUSE.search(before):
        return True
    if place.re is _BARE:
        return _begins_clause(before)
    if place.re is _POSSESSIVE:
        return len(_content(before)) > 2
    return place.group().lower() in ("they", "them") and _FIRST_PERSON.search(question) is not None


def _points_back(pointed: re.Match[str], question: str) -> bool:
    """Whether "that …" is one noun that was spoken of: not the beginning of a clause about the noun before it, not a
    time, and not described by what follows.
    """
    if _TEMPORAL.match(pointed.group()):
        return False
    if _begins_clause(question[: pointed.start()]):
        return False
    follows = re.match(r"\W*(?P<word>[\w'’]*)", question[pointed.end() :])
    word = follows["word"].lower() if follows else ""
    return word not in ("that", "who", "which", "whose") and (not word or re.fullmatch(_STOP, word) is not None)


def _begins_clause(before: str) -> bool:
    """Whether "that" behind these words is the beginning of a clause about the noun that they end with."""
    last = before.lower().split()[-1:]
    return bool(last) and _content(before)[-1:] == last and not last[0].endswith("ed")


def _content(text: str) -> list[str]:
    """The words that are no question words and no particles."""
    words = re.findall(r"[\w'’]+", text.lower())
    return [word for word in words if word not in _QUESTION_START and not re.fullmatch(_STOP, word)]


def subject_of(question: str) -> str | None:
    """What a question is about: its last name that is no mere place, else its first noun phrase with what hangs on it;
    None without either.
    """
    names = names_in(question)
    if names:
        things = [name for name in names if not re.search(rf"{_PLACE} {re.escape(name)}", question)]
        name = (things or names)[-1]
        article = re.search(rf"\bthe {re.escape(name)}", question)
        return f"the {name}" if article else name
    phrase = _PHRASE.search(question)
    return phrase.group() if phrase else None


def names_in(question: str) -> list[str]:
    """Runs of capitalised words, figures included, in order; a question word at the beginning is none."""
    names: list[str] = []
    run: list[str] = []
    end = -1
    for match in _NAME.finditer(question):
        word = match.group().strip()
        first = not question[: match.start()].strip(" \"'“(")
        if first and word.split()[0].lower() in _NO_NAME_START:
            continue
        if match.start() == end and run:
            run.append(match.group())
        else:
            names.append("".join(run))
            run = [match.group()]
        end = match.end()
    names.append("".join(run))
    return [name.strip(" .'’") for name in names if name and any(letter.isupper() for letter in name) and name != "I"]


def _with_fragment(fragment: str, before: str) -> str:
    """The question before, about the fragment instead: behind the same preposition, or in the place of the name."""
    preposition = _PREPOSITION.match(fragment)
    if preposition is not None:
        same = list(re.finditer(rf"\b{preposition['word']}\b", before, re.IGNORECASE))
        stem = before[: same[-1].start()].rstrip() if same else before.rstrip(" ?.!")
        return f"{stem} {fragment}?"
    names = names_in(before)
    if names and names_in(f"about {fragment}"):
        start = before.rindex(names[-1])
        return before[:start] + re.sub(r"^the (?=[A-Z])", "", fragment) + before[start + len(names[-1]) :]
    phrases = list(_PHRASE.finditer(before))
    if not names and phrases:
        return before[: phrases[-1].start()] + fragment + before[phrases[-1].end() :]
    return f"{before.rstrip(' ?.!')}, {fragment}?"


def _carry_over_chinese(question: str, before: str) -> str:
    head = _ZH_HEAD_END.split(before, maxsplit=1)[0].strip(" 请问，,")
    fragment = _ZH_ELLIPSIS.match(question)
    if fragment is not None and head and before.startswith(head):
        return fragment["rest"] + before[len(head) :]
    place = _ZH_PRONOUN.search(question)
    if place is None or not head:
        return question
    if place.group() == "该":
        return f"{question}（{head}）"
    return question[: place.start()] + head + ("的" if place.group() == "其" else "") + question[place.end() :]
