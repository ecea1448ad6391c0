"""More training examples out of the mined ones: evidence taken away, questions edited, sentences turned into questions.

Sets whose licence allows shipping weights hold about a thousand unanswerable questions of the training part. These
three kinds teach the same thing, that words in common are not an answer, and where a span begins and ends:

- `without_evidence`: the sentence with the answer is cut out of the passage, as when retrieval finds the right
  document but not the right passage.
- `edited`: a name, a number or a word of the question is exchanged or negated, as annotators did for SQuAD 2.0
  (Rajpurkar et al., ACL 2018, table 1: negation, antonym, entity swap).
- `cloze`: a name or number of a sentence becomes the answer to the sentence without it (Lewis et al., ACL 2019).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from eval.finetune.examples import Example
from eval.measures import contains_answer
from ingest.sentences import Span, sentence_spans

_NAME = re.compile(r"(?:[A-Z][\w'’.-]*\w)(?: (?:of (?:the )?)?[A-Z][\w'’-]*\w)*")
_INSIDE_SENTENCE = re.compile(r"[\w,;] $")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_WORD = re.compile(r"\w+")
_AUXILIARY = re.compile(r"\b(?:is|are|was|were|did|does|do|has|have|had|can|could|will|would|should)\b", re.IGNORECASE)
_OPPOSITES = (
    ("first", "last"),
    ("before", "after"),
    ("highest", "lowest"),
    ("high", "low"),
    ("largest", "smallest"),
    ("large", "small"),
    ("biggest", "smallest"),
    ("most", "least"),
    ("more", "fewer"),
    ("north", "south"),
    ("northern", "southern"),
    ("east", "west"),
    ("eastern", "western"),
    ("begin", "end"),
    ("began", "ended"),
    ("start", "stop"),
    ("started", "stopped"),
    ("increase", "decrease"),
    ("increased", "decreased"),
    ("won", "lost"),
    ("win", "lose"),
    ("early", "late"),
    ("earliest", "latest"),
    ("old", "new"),
    ("oldest", "newest"),
    ("best", "worst"),
    ("longest", "shortest"),
    ("long", "short"),
    ("built", "destroyed"),
    ("male", "female"),
    ("king", "queen"),
    ("support", "oppose"),
    ("allowed", "forbidden"),
    ("public", "private"),
    ("major", "minor"),
    ("rich", "poor"),
    ("strong", "weak"),
    ("positive", "negative"),
    ("with", "without"),
    ("always", "never"),
    ("open", "closed"),
    ("came", "left"),
    ("born", "buried"),
    ("buy", "sell"),
    ("bought", "sold"),
)
_OPPOSITE = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])}
_CLOZE_WORDS = 14
_NEGATED = 0.25
"""Share of the questions without name, number and opposite that get a negation: rare, or it would give them away."""

_FROM_ELSEWHERE = 0.6
"""Share of names taken from another passage; the others stand in this one, which is harder and at times wrong."""


def without_evidence(example: Example) -> Example | None:
    """The question on its passage without the sentences of the answer; None where the answer still stands there.

    The first line (the title) stays. None, too, when fewer than two sentences would remain.
    """
    if example.answer is None:
        return None
    passage = example.passages[0]
    answer = passage[slice(*example.answer)]
    title = passage.find("\n") + 1
    sentences = [s for s in sentence_spans(passage) if s.start >= title]
    kept = [s for s in sentences if not contains_answer(passage[s.start : s.end], (answer,)) and not _meet(s, example)]
    if len(kept) < 2 or len(kept) == len(sentences):
        return None
    left = passage[:title] + " ".join(passage[s.start : s.end] for s in kept)
    return replace(example, answerable=False, passages=(left,), answer=None)


def edited(example: Example, others: Sequence[str], draw: random.Random) -> Example | None:
    """The passage with a question that it does not answer: one name, number or word changed; None if none can be.

    `others` are passages to take names from. The answer's own words are left alone.
    """
    if not example.answerable:
        return None
    ways = [_swap_name, _swap_number, _reverse_word]
    draw.shuffle(ways)
    for way in [*ways, _negate] if draw.random() < _NEGATED else ways:
        question = way(example, others, draw)
        if question is not None and question != example.question:
            return replace(example, question=question, answerable=False, passages=example.passages[:1], answer=None)
    return None


def cloze(passage: str, source: str, draw: random.Random) -> Example | None:
    """A question made of one sentence of the passage and its name or number as answer; None without such a sentence."""
    title = passage.find("\n") + 1
    sentences = [s for s in sentence_spans(passage) if s.start >= title and 40 < len(s) < 400]
    draw.shuffle(sentences)
    for sentence in sentences:
        text = passage[sentence.start : sentence.end]
        spans = [*_name_matches(text), *_NUMBER.finditer(text)]
        if spans:
            found = draw.choice(spans)
            start = sentence.start + found.start()
            question = _question_of(text, found, draw)
            return Example(source, question, True, (passage,), (start, start + len(found.group())))
    return None


def _meet(sentence: Span, example: Example) -> bool:
    assert example.answer is not None
    return sentence.start < example.answer[1] and example.answer[0] < sentence.end


def _name_matches(text: str) -> list[re.Match[str]]:
    """Capitalised words inside of sentences: at their beginning any word is capitalised."""
    return [m for m in _NAME.finditer(text) if len(m.group()) > 3 and _INSIDE_SENTENCE.search(text[: m.start()][-2:])]


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(match.group() for match in _name_matches(text)))


def _swap_name(example: Example, others: Sequence[str], draw: random.Random) -> str | None:
    """A name of the passage (or of the question) exchanged for another, in the question's own case."""
    passage, question = example.passages[0], example.question
    asked = question[1:].lower()
    inside = [name for name in _names(passage) if f" {name.lower()}" in asked]
    if not inside:
        return None
    gone = max(inside, key=len)
    elsewhere = draw.random() < _FROM_ELSEWHERE
    answer = passage[slice(*example.answer)] if example.answer else ""
    pool = _names(draw.choice(others)) if elsewhere else _names(passage)
    known = passage.lower() if elsewhere else f"{asked} {answer}".lower()
    fitting = [name for name in pool if name.lower() not in known and abs(len(name.split()) - len(gone.split())) < 2]
    if not fitting:
        return None
    place = question.lower().find(gone.lower(), 1)
    new = draw.choice(fitting)
    lower = question[place : place + len(gone)].islower()
    return question[:place] + (new.lower() if lower else new) + question[place + len(gone) :]


def _swap_number(example: Example, others: Sequence[str], draw: random.Random) -> str | None:
    del others
    found = list(_NUMBER.finditer(example.question))
    if not found:
        return None
    gone = draw.choice(found)
    digits = gone.group().replace(",", "")
    value = int(digits) if digits.isdigit() else 0
    year = 1000 <= value <= 2100
    new = str(value + draw.choice((-1, 1)) * draw.randint(1, 30 if year else max(2, value)))
    if new in example.passages[0]:
        return None
    return example.question[: gone.start()] + new.lstrip("-") + example.question[gone.end() :]


def _reverse_word(example: Example, others: Sequence[str], draw: random.Random) -> str | None:
    del others
    found = [m for m in _WORD.finditer(example.question) if m.group().lower() in _OPPOSITE]
    if not found:
        return None
    gone = draw.choice(found)
    new = _OPPOSITE[gone.group().lower()]
    return example.question[: gone.start()] + new + example.question[gone.end() :]


def _negate(example: Example, others: Sequence[str], draw: random.Random) -> str | None:
    del others
    found = _AUXILIARY.search(example.question)
    if not found or re.search(r"\bn[o']t\b", example.question):
        return None
    if found.group().lower() in {"did", "does", "do"} or draw.random() < 0.5:
        words = example.question[found.end() :].split(" ")
        place = min(len(words), 3)
        return example.question[: found.end()] + " ".join(
            [*words[:place], draw.choice(("not", "never")), *words[place:]]
        )
    return f"{example.question[: found.end()]} not{example.question[found.end() :]}"


def _question_of(sentence: str, answer: re.Match[str], draw: random.Random) -> str:
    """The words around the answer with a question word in its place, in lower case as people type them."""
    before = _WORD.findall(sentence[: answer.start()])[-draw.randint(3, _CLOZE_WORDS) :]
    after = _WORD.findall(sentence[answer.end() :])[: draw.randint(3, _CLOZE_WORDS)]
    word = _asking(answer.group(), before, draw)
    if before and before[-1].lower() in {"in", "on", "at"} and word in {"when", "where"}:
        before = before[:-1]
    front = draw.random() < 0.6
    words = [word, *after, *before] if front and after else [*before, word, *after]
    return " ".join(words).lower() + draw.choice(("", "?"))


def _asking(answer: str, before: Sequence[str], draw: random.Random) -> str:
    place = bool(before) and before[-1].lower() in {"in", "at", "from", "near"}
    if answer[0].isdigit():
        year = answer.isdigit() and len(answer) == 4
        return draw.choice(("when", "what year")) if year else draw.choice(("how many", "how much", "what number"))
    return draw.choice(("where", "what place")) if place else draw.choice(("who", "what", "which"))
