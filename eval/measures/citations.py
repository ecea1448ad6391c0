"""Whether what is said is supported by what is cited.

A claim is a sentence of an answer. Refusals have no claims and stay out of every measure here; an answer without any
claim counts as one unsupported claim.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Entails = Callable[[Sequence[str], str], bool]
"""Whether the passages together entail the sentence: an NLI model, a judge, or a fake."""


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence, the passages it cites, and how many of its citations point nowhere."""

    text: str
    passages: tuple[str, ...]
    dangling: int = 0


def evidence_rate_micro(supported: Sequence[Sequence[bool]]) -> float | None:
    """sum of supported claims / sum of claims over the answers, in [0, 1]; None when nothing was answered.

    `supported` holds a list of claims an answer. Source: the shape of FActScore (Min et al., EMNLP 2023) and of
    ragas's Faithfulness, without FActScore's penalty for short answers.
    """
    claims = [claim for answer in supported for claim in (answer or [False])]
    return sum(claims) / len(claims) if claims else None


def evidence_rate_macro(supported: Sequence[Sequence[bool]]) -> float | None:
    """Mean over the answers of supported / claims, in [0, 1]; None when nothing was answered."""
    rates = [sum(answer) / len(answer) if answer else 0.0 for answer in supported]
    return sum(rates) / len(rates) if rates else None


def evidence_rate_strict(supported: Sequence[Sequence[bool]]) -> float | None:
    """answers with every claim supported / answers, in [0, 1]; None when nothing was answered.

    Source: attributable to identified sources, all or nothing (Rashkin et al., Computational Linguistics 2023).
    """
    whole = [bool(answer) and all(answer) for answer in supported]
    return sum(whole) / len(whole) if whole else None


def quote_stands(quote: str, passage: str) -> bool:
    """Whether the quote occurs in the cited passage after NFKC, case folding and joining of white space.

    An empty quote stands nowhere. Departs from ragas's QuotedSpansAlignment, which takes any context for the cited one
    and scores 1 where nothing is quoted.
    """
    wanted = _plain(quote)
    return bool(wanted) and wanted in _plain(passage)


def citation_recall(sentences: Sequence[CitedSentence], entails: Entails) -> float | None:
    """Mean over sentences of [the cited passages together entail the sentence], in [0, 1]; None without sentences.

    A sentence that cites nothing, or something that does not exist, scores 0. Source: ALCE (Gao et al., EMNLP 2023);
    it skips empty answers, which the caller scores 0 here by passing one sentence without citations.
    """
    if not sentences:
        return None
    return sum(_recalled(sentence, entails) for sentence in sentences) / len(sentences)


def citation_precision(sentences: Sequence[CitedSentence], entails: Entails) -> float | None:
    """good citations / citations, in [0, 1]; 0 when nothing is cited; None without sentences.

    A citation is good if all of its sentence's passages together entail the sentence, and it is the only one, entails
    it alone, or the others without it do not. Dangling citations count as bad; ALCE leaves them out of the
    denominator. Source: ALCE.
    """
    if not sentences:
        return None
    total = sum(len(sentence.passages) + sentence.dangling for sentence in sentences)
    good = sum(_good_citations(sentence, entails) for sentence in sentences)
    return good / total if total else 0.0


def _recalled(sentence: CitedSentence, entails: Entails) -> bool:
    return bool(sentence.passages) and not sentence.dangling and entails(sentence.passages, sentence.text)


def _good_citations(sentence: CitedSentence, entails: Entails) -> int:
    passages, text = sentence.passages, sentence.text
    if not _recalled(sentence, entails):
        return 0
    if len(passages) == 1:
        return 1
    return sum(
        entails([passage], text) or not entails([*passages[:i], *passages[i + 1 :]], text)
        for i, passage in enumerate(passages)
    )


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
