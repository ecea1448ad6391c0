"""The embedded reader: the answer is the sentence with the best span, quoted as it stands, the span marked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from generate.answer import AnswerSpan, GeneratorInfo
from generate.assessment import ScoredSentence
from generate.clauses import QUOTE_WORDS_MAX, count_words
from generate.generators import Evidence, Finished, Piece, Sentence

_SENTENCES_MAX = 3
_SEVERAL_SHARE = 0.5
_SECOND_SHARE = 0.9
_ASKS_SEVERAL = re.compile(
    r"\b(?:which|what) (?:(?:two|three|four|five|several|other|are the|were the|kinds? of|types? of)\b"
    r"|\w+s are\b|\w+s were\b)"
    r"|\b(?:list|name|give) (?:the|all|two|three|some|several)\b|\bwho (?:are|were)\b|哪些|哪[两三四几]|分别|列出",
    re.IGNORECASE,
)


class ReaderGenerator:
    """Quotes the best sentence; further ones where several answers are asked for, or where a short one is as good."""

    def __init__(self, model: str) -> None:
        self.info = GeneratorInfo("reader", model, None)

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        several = asks_several(evidence.question)
        for chosen in choose(evidence.assessment.sentences, several=several):
            spans = chosen.spans if several else chosen.spans[:1]
            yield Sentence(
                chosen.quote.text,
                (chosen.quote,),
                tuple(sorted(spans, key=lambda span: span.start)) or (AnswerSpan(0, len(chosen.quote.text)),),
            )
        yield Finished()


def asks_several(question: str) -> bool:
    """Whether the question asks for more than one thing."""
    return bool(_ASKS_SEVERAL.search(question))


def choose(sentences: Sequence[ScoredSentence], *, several: bool) -> list[ScoredSentence]:
    """The best sentence, and after it those that give another answer, are nearly as good (half as good, where several
    answers are asked for) and keep the whole within 40 words.
    """
    chosen = list(sentences[:1])
    least = (_SEVERAL_SHARE if several else _SECOND_SHARE) * (chosen[0].score if chosen else 0.0)
    words = sum(count_words(one.quote.text) for one in chosen)
    for sentence in sentences[1:]:
        more = count_words(sentence.quote.text)
        if len(chosen) == _SENTENCES_MAX or sentence.score < least:
            break
        if words + more <= QUOTE_WORDS_MAX and not any(_repeats(sentence, one) for one in chosen):
            chosen.append(sentence)
            words += more
    return chosen


def _repeats(one: ScoredSentence, other: ScoredSentence) -> bool:
    """One sentence, or its short answer, says what the other one does."""
    texts, answers = (one.quote.text, other.quote.text), (one.answer, other.answer)
    return texts[0] in texts[1] or texts[1] in texts[0] or answers[0] in answers[1] or answers[1] in answers[0]
