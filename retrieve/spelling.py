"""Slips of the pen in a question: a word that the collection does not hold gives way to the word it was meant to be.

One slip (a letter left out, put in, exchanged, or two swapped: Damerau, CACM 1964) is looked up for in the index's own
vocabulary, of which the most frequent word wins; so a name of the collection is never corrected away, and no dictionary
of any language is needed. Short words, figures, identifiers and scripts without spaces are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase

LETTERS_MIN = 5
"""Nearly every shorter word is one slip away from another one."""

LETTERS_MAX = 24
CORRECTED_MAX = 8
"""Words of a question that are looked up for: each costs some 50 look-ups a letter."""


def corrected(terms: Sequence[str], documents_with: Callable[[str], int]) -> list[str]:
    """The terms of a question, those without a document replaced where a term one slip away has any.

    `documents_with` counts the documents that hold a term. The order is kept; equal counts: the first in the alphabet.
    """
    unknown = [term for term in dict.fromkeys(terms) if _is_word(term) and not documents_with(term)]
    meant = {term: near for term in unknown[:CORRECTED_MAX] if (near := _nearest(term, documents_with))}
    return [meant.get(term, term) for term in terms]


def _is_word(term: str) -> bool:
    return LETTERS_MIN <= len(term) <= LETTERS_MAX and term.isascii() and term.isalpha()


def _nearest(term: str, documents_with: Callable[[str], int]) -> str | None:
    counts = {near: count for near in set(_slips(term)) if (count := documents_with(near))}
    return min(counts, key=lambda near: (-counts[near], near), default=None)


def _slips(term: str) -> Iterator[str]:
    """Every term one slip away, and some twice."""
    for place in range(len(term) + 1):
        before, after = term[:place], term[place:]
        yield from (before + letter + after for letter in ascii_lowercase)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in ascii_lowercase)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
