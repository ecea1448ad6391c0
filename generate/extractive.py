"""The extractive generator: answers are sentences of the documents, quoted as they stand. Needs no language model."""

from __future__ import annotations

from collections.abc import AsyncIterator

from generate.answer import AnswerSpan, GeneratorInfo
from generate.assessment import ScoredSentence
from generate.generators import Evidence, Finished, Piece, Sentence

_SENTENCES_MAX = 2
_SECOND_SHARE = 0.9
_CHARS_MAX = 320


class ExtractiveGenerator:
    """Quotes the best supported sentence, and the next one where it is nearly as good and the answer stays short."""

    info = GeneratorInfo("extractive", None, None)

    async def generate(self, evidence: Evidence) -> AsyncIterator[Piece]:
        for chosen in _choose(evidence.assessment.sentences):
            text = chosen.quote.text
            yield Sentence(text, (chosen.quote,), (AnswerSpan(0, len(text)),))
        yield Finished()


def _choose(sentences: tuple[ScoredSentence, ...]) -> list[ScoredSentence]:
    chosen = list(sentences[:1])
    for sentence in sentences[1:]:
        length = sum(len(one.quote.text) for one in [*chosen, sentence])
        near = sentence.score >= _SECOND_SHARE * chosen[0].score
        repeated = any(sentence.quote.text in one.quote.text or one.quote.text in sentence.quote.text for one in chosen)
        if len(chosen) == _SENTENCES_MAX or not near or length > _CHARS_MAX:
            break
        if not repeated:
            chosen.append(sentence)
    return chosen
