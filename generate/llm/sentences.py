"""A model's text to sentences with the passages they cite, while it arrives. Equal texts give equal sentences, in
whatever pieces they come: a boundary is decided on when a fixed number of characters behind it is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.sentences import sentence_spans

_MARK = r"[\[【［]\s*(?:[Pp]assages?\s*|段落\s*)?\d+(?:\s*(?:[,，、;-]|and)\s*\d+)*\s*[\]】］]"
_MARKS = rf"(?:\s*{_MARK})*"
_FULL_STOP = re.compile(
    rf"(?P<sure>[。！？]+[”’）」』]*{_MARKS}|[!?]+[\"'”’)]*{_MARKS}(?=\s)|{_MARKS}\s*\n\s*{_MARKS}"
    rf"|{_MARK}\s*[.…]+[\"'”’)]*{_MARKS}(?=\s)|[.…]+[\"'”’)]*(?:\s*{_MARK})+)"
    r"|[.…]+[\"'”’)]*(?=\s)"
)
_AFTER_MARKS = re.compile(rf"(?P<sure>{_MARK}{_MARKS}\s*[.。]?)(?!\s*[\[【［])")
_ANY_MARK = re.compile(rf"\s*(?:{_MARK})")
_NUMBER = re.compile(r"\d+")
_LIST_ITEM = re.compile(r"^\s*(?:[-*•]\s+|\d{1,2}[.)、]\s+|#{1,6}\s+)")
_OPENING = re.compile(r"\s*[\[【［]")
_LOOKAHEAD = 24
_MARKS_LOOKAHEAD = 120
_DIGITS_MAX = 6


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence without its markers, and the passage numbers in them, each once, in order. `cut`: it has no end."""

    text: str
    numbers: tuple[int, ...]
    cut: bool = False


class Segmenter:
    """Cuts a stream of text into sentences, without the marks of list items; with `by_marks`, behind each run of
    markers instead, and with every character.
    """

    def __init__(self, *, by_marks: bool = False) -> None:
        self._by_marks = by_marks
        self._boundary = _AFTER_MARKS if by_marks else _FULL_STOP
        self._text = ""
        self._sought = 0

    def feed(self, text: str) -> list[CitedSentence]:
        """The sentences that are complete now."""
        self._text += text
        found = []
        while (end := self._next_end()) is not None:
            found.append(self._take(end))
        return [sentence for sentence in found if sentence.text]

    def end(self, *, cut: bool = False) -> list[CitedSentence]:
        """What is left when nothing more comes; `cut` where the model was stopped before it was through."""
        self._text += " " * _MARKS_LOOKAHEAD  # so that every boundary has something behind it
        found = self.feed("")
        last = self._take(len(self._text), cut=cut)
        return [*found, last] if last.text else found

    def _next_end(self) -> int | None:
        """Where the first sentence ends; None where that is not known yet."""
        for match in self._boundary.finditer(self._text, self._sought):
            end = match.end()
            bracket = _OPENING.match(self._text, end)
            needed = _MARKS_LOOKAHEAD if bracket else _LOOKAHEAD
            if len(self._text) < end + needed:
                return None
            if match["sure"] or _ends_sentence(self._text[:end], self._text[end : end + _LOOKAHEAD]):
                return end
            self._sought = match.end()
        return None

    def _take(self, end: int, *, cut: bool = False) -> CitedSentence:
        raw, self._text, self._sought = self._text[:end], self._text[end:], 0
        numbers = dict.fromkeys(
            int(number) if len(number) <= _DIGITS_MAX else 10**_DIGITS_MAX
            for mark in _ANY_MARK.finditer(raw)
            for number in _NUMBER.findall(mark.group())
        )
        text = _ANY_MARK.sub("", raw)
        if not self._by_marks:
            text = _LIST_ITEM.sub("", text)
        return CitedSentence(" ".join(text.split()), tuple(numbers), cut)


class WithoutThoughts:
    """Leaves out what a model thinks aloud before it answers: `<think>…</think>` at the beginning."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, text: str) -> str:
        """The part of `text`, and of what was held back, that belongs to the answer."""
        if self._state == "answer":
            return text
        self._held += text
        if self._state == "start":
            beginning = self._held.lstrip()
            if self._OPEN.startswith(beginning[: len(self._OPEN)]) and len(beginning) < len(self._OPEN):
                return ""
            if not beginning.startswith(self._OPEN):
                return self._release(self._held)
            self._state = "thinking"
        _, closed, rest = self._held.partition(self._CLOSE)
        return self._release(rest.lstrip()) if closed else ""

    def end(self) -> str:
        """What was held back and is no thought."""
        return self._release(self._held) if self._state == "start" else ""

    def _release(self, text: str) -> str:
        self._held, self._state = "", "answer"
        return text


def _ends_sentence(before: str, after: str) -> bool:
    """Whether a full stop ends a sentence, and not an abbreviation; before a figure or a small letter it does not."""
    plain = _ANY_MARK.sub("", before).strip()
    following = _ANY_MARK.sub("", after).strip()
    if following[:1].isdigit() or following[:1].islower():
        return False
    return any(span.end == len(plain) for span in sentence_spans(f"{plain} {following}"))
