"""What is known of a passage before anybody asks: its sentences, its terms, what it claims.

Remembered by its words, because the same passages come back for question after question.
"""

from __future__ import annotations

from dataclasses import dataclass

from generate.claims import Claim, claim_of
from ingest.caches import remembers_texts
from ingest.sentences import Span, sentence_spans
from retrieve import Hit
from retrieve.analysis import analyse_document


@dataclass(frozen=True, slots=True)
class PassageText:
    """`sentences` are those of the passage alone; `titles` and `title_figures` are the terms and figures of its title
    and heading; `terms` and `claim` are of these and the text.
    """

    sentences: tuple[Span, ...]
    titles: frozenset[str]
    title_figures: frozenset[float]
    terms: frozenset[str]
    claim: Claim


def passage_text(hit: Hit) -> PassageText:
    """What is known of the words of a hit."""
    return _passage_text(hit.title or "", hit.heading or "", hit.text)


@remembers_texts(512)
def _passage_text(title: str, heading: str, text: str) -> PassageText:
    titles = f"{title}\n{heading}"
    around = f"{titles}\n{text}"
    return PassageText(
        tuple(sentence_spans(text)),
        frozenset(analyse_document(titles)),
        frozenset(claim_of(titles).figures),
        frozenset(analyse_document(around)),
        claim_of(around),
    )


@remembers_texts(4096)
def sentence_terms(text: str) -> tuple[str, ...]:
    """Index terms of a sentence in order, repeats included."""
    return tuple(analyse_document(text))
