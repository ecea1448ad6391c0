"""Passages that contradict each other on what is asked: found by rule, then settled by authority and date, or not.

The sentence that would be the answer is compared with sentences of other documents that speak of the same thing. They
contradict each other when the question asks for a quantity or a date and they give different ones of the same kind, or
when it asks whether something is so and one of them denies or restricts what the other allows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from generate.answer import Conflict
from generate.assessment import Assessment, Quote, ScoredSentence, content_terms
from generate.quantities import Quantities, asks_quantity, asks_time, asks_whether, denies, quantities_of
from retrieve.analysis import analyse_document

_OTHERS_MAX = 8
_OTHER_SHARE = 0.25
_SHARED_TERMS_MIN = 2
_SUBJECT_MIN = 0.5
_QUESTION_MIN = 0.5
_RIVAL_SHARE = 0.6
_TOLD_MIN = 0.75
_AROUND_MIN = 0.66
_AUTHORITY_MIN = 0.15
_NAME = re.compile(r"(?<![.!?:\n] )(?<!^)\b[A-Z][\w'-]+")
_CALENDAR = re.compile(
    r"January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
)

Settlement = Literal["authority", "date"]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the evidence says once contradictions are settled.

    `assessment` has the sentences of the losing sides taken out. `conflicts` names the losing sides, or both sides
    where nothing settles them; then `settled` is false. `outranked` are the chunk ids of the losing passages,
    `rivals` the quotes that speak against the first sentence of `assessment`.
    """

    assessment: Assessment
    conflicts: tuple[Conflict, ...] = ()
    settled: bool = True
    outranked: frozenset[str] = frozenset()
    rivals: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class _Statement:
    """A sentence with what it speaks of: its content terms without figures, its figures, its names."""

    scored: ScoredSentence
    terms: frozenset[str]
    context: frozenset[str]
    quantities: Quantities
    names: frozenset[str]

    @property
    def quote(self) -> Quote:
        return self.scored.quote


class ConflictFinder:
    """Finds and settles contradictions. Synchronous and thread-safe."""

    def find(self, question: str, assessment: Assessment) -> Findings:
        """Compare the best sentence with those of other documents; where one of them wins, it becomes the best."""
        if not assessment.sentences or not (asks_quantity(question) or asks_time(question) or asks_whether(question)):
            return Findings(assessment)
        best = _statement(assessment.sentences[0])
        losers: list[tuple[_Statement, Settlement]] = []
        for other in _rivals(question, best, assessment.sentences):
            better = _preferred(best.quote, other.quote)
            if better is None:
                both = (_conflict(best.quote, None), _conflict(other.quote, None))
                return Findings(assessment, both, settled=False, rivals=(other.quote,))
            winner, reason = better
            loser = other if winner is best.quote else best
            losers.append((loser, reason))
            best = best if winner is best.quote else other
        return _without(assessment, best, losers) if losers else Findings(assessment)


def _rivals(question: str, best: _Statement, sentences: Sequence[ScoredSentence]) -> list[_Statement]:
    """Sentences of other documents that contradict the best one, by score."""
    least = _OTHER_SHARE * best.scored.score
    others = [s for s in sentences[1:] if s.quote.hit.document_pk != best.quote.hit.document_pk and s.score >= least]
    statements = [_statement(sentence) for sentence in others[:_OTHERS_MAX]]
    return [
        other for other in statements if _same_subject(question, best, other) and _contradict(question, best, other)
    ]


def _statement(scored: ScoredSentence) -> _Statement:
    text, hit = scored.quote.text, scored.quote.hit
    terms = frozenset(term for term in content_terms(text) if not any(letter.isdigit() for letter in term))
    context = frozenset(analyse_document(f"{hit.title or ''} {hit.heading or ''} {hit.text}"))
    names = frozenset(name for name in _NAME.findall(text) if not _CALENDAR.fullmatch(name))
    return _Statement(scored, terms, context, quantities_of(text), names)


def _same_subject(question: str, one: _Statement, other: _Statement) -> bool:
    """Both passages speak of what is asked, neither sentence names what the other does not, and one of three holds: the
    sentences share their subject; both hold nearly all that is asked for; or both are taken for answers, in passages of
    different works that hold nearly all of it.
    """
    asked = {term for term in content_terms(question) if not any(letter.isdigit() for letter in term)}
    around = min(_covered(asked, one.terms | one.context), _covered(asked, other.terms | other.context))
    if around < _QUESTION_MIN or (one.names - other.names and other.names - one.names):
        return False
    shared = one.terms & other.terms
    smaller = min(len(one.terms), len(other.terms)) or 1
    if len(shared) >= _SHARED_TERMS_MIN and len(shared) / smaller >= _SUBJECT_MIN:
        return True
    if min(_covered(asked, one.terms), _covered(asked, other.terms)) >= _TOLD_MIN:
        return True
    as_good = other.scored.score >= _RIVAL_SHARE * one.scored.score
    return as_good and around >= _AROUND_MIN and one.quote.hit.title != other.quote.hit.title


def _covered(asked: Collection[str], terms: Collection[str]) -> float:
    return sum(term in terms for term in asked) / max(len(asked), 1)


def _contradict(question: str, one: _Statement, other: _Statement) -> bool:
    if asks_time(question):
        return one.quantities.dates_differ(other.quantities)
    if asks_quantity(question):
        return one.quantities.amounts_differ(other.quantities)
    return denies(one.quote.text) != denies(other.quote.text)


def _preferred(one: Quote, other: Quote) -> tuple[Quote, Settlement] | None:
    """The side to believe: of the clearly more credible source, else of the later date."""
    first, second = one.hit.credibility.source, other.hit.credibility.source
    if abs(first - second) >= _AUTHORITY_MIN:
        return (one if first > second else other), "authority"
    dates = (one.hit.document_date, other.hit.document_date)
    if dates[0] is not None and dates[1] is not None and dates[0] != dates[1]:
        return (one if dates[0] > dates[1] else other), "date"
    return None


def _without(assessment: Assessment, best: _Statement, losers: Sequence[tuple[_Statement, Settlement]]) -> Findings:
    """The winner first, the others by score, without the losers."""
    lost = {(loser.quote.hit.version_pk, loser.quote.start) for loser, _ in losers}
    kept = [s for s in assessment.sentences if (s.quote.hit.version_pk, s.quote.start) not in lost]
    kept.sort(key=lambda sentence: sentence is not best.scored)
    conflicts = tuple(_conflict(loser.quote, reason) for loser, reason in losers)
    outranked = frozenset(loser.quote.hit.chunk_id for loser, _ in losers)
    rivals = tuple(loser.quote for loser, _ in losers)
    return Findings(replace(assessment, sentences=tuple(kept)), conflicts, True, outranked, rivals)


def _conflict(quote: Quote, outranked_by: Settlement | None) -> Conflict:
    return Conflict(
        document_id=quote.hit.document_id,
        version=quote.hit.version,
        quote=quote.text,
        title=quote.hit.title,
        char_start=quote.start,
        char_end=quote.end,
        document_date=quote.hit.document_date,
        credibility=quote.hit.credibility.score,
        outranked_by=outranked_by,
    )
