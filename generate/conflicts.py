"""Passages that contradict each other on what is asked: found by rule, then settled by authority and date, or not.

The sentences that may be the answer are compared with those of other documents; `generate.contradictions` tells which
pairs cannot both be right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from generate.answer import Conflict
from generate.assessment import Assessment, Quote, ScoredSentence
from generate.contradictions import (
    Asked,
    Statement,
    agree,
    asked_of,
    chooses,
    contradict,
    likeness,
    statement_of,
    tells,
)
from generate.editions import are_editions, better_edition, day_of

_ANCHORS_MAX = 3
_ANCHOR_SHARE = 0.3
_OTHERS_MAX = 24
_AUTHORITY_MIN = 0.15
_AS_GOOD_SHARE = 0.5

Settlement = Literal["authority", "date"]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the evidence says once contradictions are settled.

    `assessment` has the sentences of the losing passages taken out. `conflicts` names the losing sides, or both sides
    where nothing settles them; then `settled` is false. `outranked` are the chunk ids of the losing passages,
    `rivals` the quotes that speak against the first sentence of `assessment`.
    """

    assessment: Assessment
    conflicts: tuple[Conflict, ...] = ()
    settled: bool = True
    outranked: frozenset[str] = frozenset()
    rivals: tuple[Quote, ...] = ()


class ConflictFinder:
    """Finds and settles contradictions. Synchronous and thread-safe."""

    def find(self, question: str, assessment: Assessment) -> Findings:
        """Compare the best sentences with those of other documents; where one of them wins, it becomes the best."""
        asked = asked_of(question)
        sentences = [one for one in assessment.sentences[:_OTHERS_MAX] if tells(asked, one.quote.text)]
        statements = [_Scored(one, statement_of(asked, one.quote)) for one in sentences]
        for best in _anchors(statements, assessment):
            rivals = _rivals(asked, best, statements)
            findings = _settled(assessment, best, rivals) if rivals else None
            if findings is not None and (findings.settled or asked.kind is not None):
                return findings
        return _in_force(asked, assessment)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A sentence of an assessment with its parts."""

    sentence: ScoredSentence
    statement: Statement

    @property
    def quote(self) -> Quote:
        return self.sentence.quote


def _anchors(statements: Sequence[_Scored], assessment: Assessment) -> list[_Scored]:
    """The best sentences that tell something of the kind that is asked for."""
    least = _ANCHOR_SHARE * assessment.sentences[0].score if assessment.sentences else 0.0
    return [one for one in statements[:_ANCHORS_MAX] if one.sentence.score >= least]


def _rivals(asked: Asked, best: _Scored, statements: Sequence[_Scored]) -> list[_Scored]:
    """Of each other document the sentence most like `best` that contradicts it; none of one that agrees elsewhere."""
    found: dict[int, list[_Scored]] = {}
    agreeing: set[int] = set()
    for one in statements:
        document = one.quote.hit.document_pk
        if document == best.quote.hit.document_pk:
            continue
        if contradict(asked, best.statement, one.statement):
            found.setdefault(document, []).append(one)
        elif agree(asked, best.statement, one.statement):
            agreeing.add(document)
    return [
        max(against, key=lambda one: likeness(best.statement, one.statement))
        for document, against in found.items()
        if document not in agreeing
    ]


def _settled(assessment: Assessment, best: _Scored, rivals: Sequence[_Scored]) -> Findings:
    """The better side first, where authority or date tells which one that is; what they cannot tell comes last, so that
    it is held against the side that is left.
    """
    losers: list[tuple[ScoredSentence, Settlement]] = []
    for other in sorted(rivals, key=lambda one: _preferred(best.quote, one.quote) is None):
        better = _preferred(best.quote, other.quote)
        if better is None:
            both = (_conflict(best.quote, None), _conflict(other.quote, None))
            return Findings(assessment, both, settled=False, rivals=(other.quote,))
        winner, reason = better
        loser = other if winner is best.quote else best
        losers.append((loser.sentence, reason))
        best = best if winner is best.quote else other
    return _without(assessment, best.sentence, losers)


def _in_force(asked: Asked, assessment: Assessment) -> Findings:
    """Where a better edition of the same work answers about as well, its sentence in place of the best one, which is
    shown if it gives another answer.
    """
    if not assessment.sentences:
        return Findings(assessment)
    best = assessment.sentences[0]
    for other in assessment.sentences[1:_OTHERS_MAX]:
        if other.score < _AS_GOOD_SHARE * best.score:
            break
        editions = are_editions(best.quote.hit.title, other.quote.hit.title)
        better = _preferred(best.quote, other.quote) if editions else None
        if better is not None and better[0] is other.quote and not chooses(asked, best.quote, other.quote):
            found = _without(assessment, other, [(best, better[1])])
            return replace(found, conflicts=(), rivals=()) if best.answer == other.answer else found
    return Findings(assessment)


def _preferred(one: Quote, other: Quote) -> tuple[Quote, Settlement] | None:
    """The side to believe: of the clearly more credible source, else of the better edition of one work, else of the
    later date: its document's own, or the day in its title.
    """
    first, second = one.hit.credibility.source, other.hit.credibility.source
    if abs(first - second) >= _AUTHORITY_MIN:
        return (one if first > second else other), "authority"
    titles = one.hit.title or "", other.hit.title or ""
    if are_editions(*titles) and (better := better_edition(*titles)):
        return (one if better[0] == "one" else other), better[1]
    dates = [side.hit.document_date or day_of(title) for side, title in zip((one, other), titles, strict=True)]
    if dates[0] is not None and dates[1] is not None and dates[0] != dates[1]:
        return (one if dates[0] > dates[1] else other), "date"
    return None


def _without(
    assessment: Assessment, best: ScoredSentence, losers: Sequence[tuple[ScoredSentence, Settlement]]
) -> Findings:
    """The winner first, as good as any loser was, for it takes their place; then all that is not of their passages."""
    outranked = frozenset(loser.quote.hit.chunk_id for loser, _ in losers)
    winner = replace(best, score=max(best.score, *(loser.score for loser, _ in losers)))
    others = [one for one in assessment.sentences if one is not best and one.quote.hit.chunk_id not in outranked]
    conflicts = tuple(_conflict(loser.quote, reason) for loser, reason in losers)
    rivals = tuple(loser.quote for loser, _ in losers)
    return Findings(replace(assessment, sentences=(winner, *others)), conflicts, True, outranked, rivals)


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
