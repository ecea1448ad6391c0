"""Do two sentences of different documents contradict each other on what a question asks? By rule, in English and
Chinese.

They do when they speak of what is asked, one as the other, and give different amounts of the same kind, different days,
years or times; or when the question asks whether something is so and one denies, restricts or replaces what the other
allows. What a sentence leaves to a pronoun is looked up in the sentence before it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

from generate.assessment import Quote
from generate.claims import Claim, claim_of, opposites
from generate.editions import are_editions, names_edition
from generate.passages import passage_text
from generate.quantities import Quantities, asks_quantity, asks_time, asks_whether, denies, quantities_of
from ingest.caches import remembers_texts
from retrieve.analysis import analyse_query

Kind = Literal["time", "quantity", "whether", "value"]

_PARALLEL_TERMS_MIN = 3
_PARALLEL_SHARE = 0.6
_COVERED_MIN = 0.6
_AROUND_MIN = 0.5
_AROUND_OTHERWISE_MIN = 0.66
_KEPT_MIN = 0.75
_ASKS_VALUE = re.compile(r"^\W*(?:(?:and|but|so|at|by|for|from|in|of|on|to|with|up) )?(?:what|which)\b", re.IGNORECASE)
_ASKS_HOW_MANY = re.compile(r"\bhow many\b|\bnumber of\b|多少[个名人次艘条岁]|几[个名人次艘条岁]", re.IGNORECASE)
_POINTS_BACK = re.compile(
    r"^\W*(?:[\w'’]+ ){0,4}(?:it|they|them|this|these|those|she|he|its|their)\b|^[^，。]{0,8}(?:它|其|该|这|此)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?P<noun>[^\W\d_]{2,}) (?P<numbers>\d+[A-Za-z]?(?:(?:, | and | or | to |[-–/&])\d+[A-Za-z]?)*)\b"
)
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+(?!\d{4}\b)|(?<=[，；：])|\s[-–—]\s|(?<=\|)\s")
_HAN_FUNCTION = re.compile(r"[的了是在有和与或及为于以之其这那此多少几吗呢什么哪谁何否可能会应须需要将被把就都也不得]")
_CALENDAR = (
    "january february march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday"
)
_SAME = "begin start commence/end finish expire cease/cost price fee charge/permit allow/forbid prohibit ban"
_FOR_ALL = re.compile(
    r"\b(?:all|every|each|any|always|only|whatever|everyone|everything)\b|所有|一律|全部|凡|均|都", re.I
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for; `kind` is None where contradictions are told between editions of one work only, and
    `edition` says that the question chooses one by a word or number.

    `counted` are the terms of which it asks how many there are; `numbered` holds for nouns the numbers right behind
    them (`Routes 1 and 2`), `pairs` neighbouring content terms.
    """

    kind: Kind | None
    terms: frozenset[str]
    names: frozenset[str]
    years: frozenset[int]
    counted: frozenset[str]
    numbered: Mapping[str, frozenset[str]]
    pairs: frozenset[tuple[str, str]]
    edition: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence with what it speaks of.

    `terms` include those of the sentence that it points back to; `core` are those of the clause that tells what is
    asked, and `quantities` its figures.
    """

    quote: Quote
    claim: Claim
    terms: frozenset[str]
    core: frozenset[str]
    names: frozenset[str]
    quantities: Quantities
    numbered: Mapping[str, frozenset[str]]

    def around(self) -> frozenset[str]:
        """Terms of its passage and titles."""
        hit = self.quote.hit
        return _terms(f"{hit.title or ''}. {hit.heading or ''}. {hit.text}")


def asked_of(question: str) -> Asked:
    """The parts of a question."""
    words = _words(question)
    return Asked(
        _kind(question),
        frozenset(words),
        frozenset(claim_of(question).names) - _calendar(),
        quantities_of(question).years_named,
        frozenset(words) if _ASKS_HOW_MANY.search(question) else frozenset(),
        _numbered(question),
        frozenset(pairwise(words)),
        names_edition(question),
    )


def tells(asked: Asked, text: str) -> bool:
    """Whether a sentence holds something of the kind that is asked for."""
    return asked.kind == "whether" or _tells(asked, quantities_of(text))


def statement_of(asked: Asked, quote: Quote) -> Statement:
    """The parts of a quoted sentence."""
    text = quote.text
    claim, core = claim_of(text), _core(asked, text)
    quantities = quantities_of(core)
    return Statement(
        quote,
        claim,
        _terms(f"{_before(quote)} {text}" if _POINTS_BACK.search(text) else text),
        _terms(core),
        frozenset(claim.names) - _calendar() - quantities_of(text).amounts.keys(),  # a unit may look so
        quantities,
        _numbered(text),
    )


def contradict(asked: Asked, one: Statement, other: Statement) -> bool:
    """Whether both speak of what is asked, and not both can be right; never so where the question chose the edition."""
    editions = are_editions(one.quote.hit.title, other.quote.hit.title)
    if editions and chooses(asked, one.quote, other.quote):
        return False
    if asked.kind is not None and _differ(asked, one, other) and _same_subject(asked, one, other):
        return True
    return editions and _revised(asked, one, other)


def chooses(asked: Asked, one: Quote, other: Quote) -> bool:
    """Whether the question says which of two editions it is about: by a word or number, or a year of one of them."""
    return asked.edition or bool(asked.years & (_own_years(one) | _own_years(other)))


def agree(asked: Asked, one: Statement, other: Statement) -> bool:
    """Whether both speak of what is asked, and tell a figure that is the same; never so for yes and no."""
    mine, theirs = one.quantities, other.quantities
    if asked.kind is None or asked.kind == "whether":
        return False
    same = mine.times_agree(theirs) if asked.kind == "time" else mine.amounts_agree(theirs)
    return same and _same_subject(asked, one, other)


def _kind(question: str) -> Kind | None:
    if asks_time(question):
        return "time"
    if asks_quantity(question):
        return "quantity"
    if asks_whether(question):
        return "whether"
    return "value" if _ASKS_VALUE.search(question) else None


def _differ(asked: Asked, one: Statement, other: Statement) -> bool:
    mine, theirs = one.quantities, other.quantities
    if asked.kind == "time":
        return mine.dates_differ(theirs) or mine.clocks_differ(theirs)
    if asked.kind == "whether":
        return _denied(asked, one) != _denied(asked, other) or opposites(one.claim, other.claim) > 0
    return mine.amounts_differ(theirs, asked.counted)


def _denied(asked: Asked, statement: Statement) -> bool:
    """Whether the sentence denies or restricts what is asked, or puts something else in its place."""
    return denies(statement.quote.text) or bool(_replaced(asked, statement))


def _replaced(asked: Asked, statement: Statement) -> frozenset[str]:
    """Terms in whose place the sentence has another one for all: all travel is standard class, where the question is
    about first class.
    """
    text = statement.quote.text
    if asked.kind != "whether" or not _FOR_ALL.search(text):
        return frozenset()
    kinds = {head: modifier for modifier, head in pairwise(_words(text))}
    return frozenset(
        modifier
        for modifier, head in asked.pairs
        if kinds.get(head, modifier) != modifier and modifier not in statement.terms
    )


def _revised(asked: Asked, one: Statement, other: Statement) -> bool:
    """Whether one says with other figures what the other says in another edition of the work. Little of the question
    need be in either, for the better one was found to answer it; but what the one has of it, the other must have.
    """
    if asked.kind == "whether" or any(_elsewhere(asked, side) for side in (one, other)):
        return False
    if _names_apart(asked, one, other):
        return False
    kept = min(_kept(asked.terms, one, other.terms), _kept(asked.terms, other, one.terms))
    if kept < _KEPT_MIN or bool(_years(one)) != bool(_years(other)):
        return False
    shared = len(one.terms & other.terms)
    alike = shared >= _PARALLEL_TERMS_MIN and likeness(one, other) >= _PARALLEL_SHARE
    mine, theirs = one.quantities, other.quantities
    return alike and (mine.amounts_differ(theirs) or mine.dates_differ(theirs) or mine.clocks_apart(theirs))


def _kept(asked: Collection[str], one: Statement, others: Collection[str]) -> float:
    """Of what is asked for and in the one sentence, the share that the other side has; 1 where there is nothing."""
    held = one.terms.intersection(asked)
    return 1 - len(held.difference(others)) / (len(held) or 1)


def _years(statement: Statement) -> frozenset[int]:
    """Years that the clause names, but for those of its document."""
    return statement.quantities.years_named - _own_years(statement.quote)


def _own_years(quote: Quote) -> frozenset[int]:
    """Of the title and the date of its document."""
    return quantities_of(f"{quote.hit.title or ''} {quote.hit.document_date or ''}").years_named


def likeness(one: Statement, other: Statement) -> float:
    """Terms that both sentences have, as a share of the fewer ones."""
    return len(one.terms & other.terms) / (min(len(one.terms), len(other.terms)) or 1)


def _names_apart(asked: Asked, one: Statement, other: Statement) -> bool:
    """Whether each names something that the other does not."""
    mine, theirs = (side.names - asked.terms for side in (one, other))
    return bool(mine - other.terms and theirs - one.terms)


def _same_subject(asked: Asked, one: Statement, other: Statement) -> bool:
    """Both passages speak of what is asked, neither sentence is about another one of its kind, and either both
    sentences hold most of what is asked for, or one repeats the words of the other.
    """
    if any(_elsewhere(asked, side) for side in (one, other)):
        return False
    if _apart({noun: one.numbered[noun] for noun in one.numbered.keys() & one.names}, other.numbered):
        return False
    if _names_apart(asked, one, other):
        return False
    terms = asked.terms - _replaced(asked, one) - _replaced(asked, other)
    around = min(_covered(terms, side.terms | side.around()) for side in (one, other))
    if around < _AROUND_MIN:
        return False
    shared, smaller = one.core & other.core, min(len(one.core), len(other.core)) or 1
    if len(shared) >= _PARALLEL_TERMS_MIN and len(shared) / smaller >= _PARALLEL_SHARE:
        kept = _kept(terms, one, other.terms | other.around()), _kept(terms, other, one.terms | one.around())
        return min(kept) >= _COVERED_MIN
    told = min(_covered(terms, side.terms) for side in (one, other))
    apart = one.quote.hit.title != other.quote.hit.title  # parts of one work tell of different things
    return apart and told >= _COVERED_MIN and around >= _AROUND_OTHERWISE_MIN


def _elsewhere(asked: Asked, statement: Statement) -> bool:
    """Whether the sentence is about another year, another number or another name than the one that is asked about."""
    if asked.years and statement.quantities.years_named and not asked.years & statement.quantities.years_named:
        return True
    if _apart(asked.numbered, statement.numbered):
        return True
    if not statement.names - asked.terms:
        return False
    return bool(asked.names - statement.terms) or _scattered(asked, statement)


def _scattered(asked: Asked, statement: Statement) -> bool:
    """Whether the words of a name in the question stand together nowhere in the sentence and its titles: a university's
    library is not the University Library.
    """
    whole = {pair for pair in asked.pairs if asked.names.issuperset(pair)}
    hit = statement.quote.hit
    return bool(whole) and not any(
        whole.intersection(pairwise(_words(text))) for text in (statement.quote.text, hit.title, hit.heading) if text
    )


def _covered(asked: Collection[str], terms: Collection[str]) -> float:
    return sum(term in terms for term in asked) / max(len(asked), 1)


def _apart(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> bool:
    """Whether both number the same noun and have no number in common."""
    return any(noun in other and not numbers & other[noun] for noun, numbers in one.items())


def _numbered(text: str) -> dict[str, frozenset[str]]:
    """Nouns with the numbers behind them, days and months left out."""
    found: dict[str, frozenset[str]] = {}
    for match in _NUMBERED.finditer(text):
        numbers = frozenset(re.findall(r"\d+[A-Za-z]?", match["numbers"]))
        for term in _terms(match["noun"]) - _calendar():
            found[term] = found.get(term, frozenset()) | numbers
    return found


def _core(asked: Asked, text: str) -> str:
    """The clause that tells what is asked for and holds most of its terms; the whole where none tells it."""
    if asked.kind == "whether":
        return text
    clauses = [clause for clause in _CLAUSE_END.split(text) if _tells(asked, quantities_of(clause))]
    return max(clauses, key=lambda clause: len(_terms(clause) & asked.terms), default=text)


def _tells(asked: Asked, quantities: Quantities) -> bool:
    if asked.kind == "time":
        return quantities.tells_time
    return bool(quantities.amounts) or (asked.kind is None and quantities.tells_time)


@remembers_texts(4096)
def _terms(text: str) -> frozenset[str]:
    return frozenset(_words(text))


def _words(text: str) -> list[str]:
    """Content terms in order, without pieces of Chinese that only hold a sentence together."""
    return [_same(word.term) for word in claim_of(text).words if word.content and not _HAN_FUNCTION.search(word.term)]


def _same(term: str) -> str:
    """The first of the words that mean the same here."""
    return _synonyms().get(term, term)


@cache
def _synonyms() -> dict[str, str]:
    groups = [[analyse_query(word)[0] for word in group.split()] for group in _SAME.split("/")]
    return {word: group[0] for group in groups for word in group}


@cache
def _calendar() -> frozenset[str]:
    return frozenset(analyse_query(_CALENDAR))


def _before(quote: Quote) -> str:
    """The sentence right before the quote in its passage."""
    hit, start = quote.hit, quote.start - quote.hit.char_start
    ended = [span for span in passage_text(hit).sentences if span.end <= start]
    return hit.text[ended[-1].start : ended[-1].end] if ended else ""
