"""What a sentence claims, in parts that can be compared: content terms in order, figures, names, denials.

By rule, in English and Chinese. Knows nothing of models and of what a comparison is worth; see `generate.support`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from generate.quantities import figures_of
from ingest.caches import remembers_texts
from retrieve.analysis import MAX_TERM_CHARS, analyse_document, analyse_query

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_LETTER = rf"(?:(?![{_HAN}])[^\W_])"
_WORD = re.compile(rf"[{_HAN}]+|{_LETTER}+?(?=n['’]t\b)|{_LETTER}+(?:[.&-]{_LETTER}+)*")
_BEGINS = re.compile(r"\A\s*[\"'“‘(\[ ]*|[.!?:;]\s*[\"'“‘(\[]*\n?")
"""What stands before the first word of a sentence."""
_FUNCTION_WORDS = (
    "a an the this that these those it its he his him she her hers they them their theirs we us our you your i my me"
    " who whom whose which what when where why how there here and or but nor so yet if as than then because while"
    " although though since until of in on at to for from by with into onto over under about between among through"
    " during within upon per via is are was were be been being am do does did has have had can could will would"
    " shall should may might must also too very just such both either each other another s t d ll re ve m n nt"
    " one some any more most much many several own same not no never without"
    " according accord document text passage source state stated states say says said mention mentioned"
    " two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty hundred"
    " thousand million billion"
    " 的 了 在 是 和 与 及 而 也 都 就 被 把 将 为 于 以 之 其 这 那 一个 一 个 并 或 及其 由 从 到 对 等"
    " 文中 提到 根据 文件"
)
_NEGATOR = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|without|nobody|nothing|nowhere|hardly|barely|unable|fail(?:s|ed)? to"
    r"|lacks?|lacked|denie[sd]|refuse[sd]?|prohibit(?:s|ed)?|forbidden|forbids?|banned)\b|n['’]t\b"
    r"|不|没|无|未|非|禁止|否认|拒绝",
    re.IGNORECASE,
)
NEGATORS = frozenset(
    {"not", "no", "never", "cannot", "without", "none", "neither", "nor", "n", "不", "没有", "无", "未"}
)
"""Terms of the words that deny by themselves."""
_NOT_ONLY = re.compile(
    r"\bnot (?:only|just|merely)\b|\bno (?:later|earlier|longer|more|less|fewer) than\b|不仅|不但|非常|无线", re.I
)
_DENYING_PREFIXES = {"un": 4, "non": 4, "non-": 3, "in": 6, "im": 6, "il": 5, "ir": 5, "dis": 6}
"""With the least length of the term behind it: shorter ones are other words (come and income, prove and improve)."""

_SCOPE = 2
_SCOPE_CHARS = 60
_CLAUSE_END = re.compile(r"[.;:!?。；：！？]\s|[。；！？]")
_ANTONYMS = (
    "increase/decrease increase/reduce increase/fall rise/fall raise/lower higher/lower highest/lowest high/low"
    " much/little more/less more/fewer most/least largest/smallest larger/smaller large/small big/small"
    " greater/lesser longer/shorter longest/shortest long/short before/after earlier/later early/late first/last"
    " oldest/youngest older/younger old/new north/south northern/southern east/west eastern/western left/right"
    " upper/lower up/down above/below inside/outside indoor/outdoor win/lose won/lost victory/defeat"
    " success/failure succeed/fail accept/reject allow/forbid allow/prohibit permit/prohibit permit/forbid"
    " permitted/forbidden allowed/prohibited support/oppose agree/disagree approve/reject begin/end began/ended"
    " start/end start/stop open/close enter/leave arrive/depart gain/lose buy/sell bought/sold import/export"
    " male/female man/woman men/women positive/negative good/bad better/worse best/worst strong/weak"
    " strongest/weakest rich/poor legal/illegal possible/impossible true/false public/private always/never"
    " always/rarely often/rarely usually/rarely common/rare frequently/seldom all/none all/some every/no many/few"
    " maximum/minimum major/minor majority/minority with/without include/exclude included/excluded hot/cold"
    " warm/cold wet/dry day/night summer/winter morning/evening married/divorced born/died birth/death"
    " parent/child friend/enemy ally/enemy love/hate remember/forget alive/dead required/optional"
    " mandatory/optional compulsory/voluntary free/paid domestic/foreign internal/external same/different"
    " similar/different active/passive single/multiple temporary/permanent richer/poorer richest/poorest"
    " stronger/weaker easier/harder hard/easy difficult/easy hard/soft simple/complex simple/complicated"
    " cheap/expensive cheaper/costlier heavy/light heavier/lighter fast/slow faster/slower quick/slow deep/shallow"
    " deeper/shallower thick/thin wide/narrow broad/narrow widen/narrow near/far nearest/farthest full/empty"
    " clean/dirty dark/light bright/dark loud/quiet young/old modern/ancient modern/traditional recent/ancient"
    " former/latter predecessor/successor precede/follow ancestor/descendant top/bottom front/back"
    " forward/backward vertical/horizontal upstream/downstream ascend/descend ahead/behind near/distant even/odd"
    " direct/indirect raise/reduce raise/cut rise/decline rise/drop lower/rise grow/shrink grow/decline"
    " expand/shrink expand/contract increase/decline increase/drop improve/worsen strengthen/weaken"
    " accelerate/slow heat/cool freeze/melt fill/empty attack/defend conquer/defend invade/defend besiege/defend"
    " capture/release capture/lose arrest/release imprison/release advance/retreat war/peace victory/loss"
    " precede/succeed create/destroy build/destroy built/destroyed construct/demolish establish/abolish"
    " introduce/abolish unite/divide merge/split combine/separate together/apart hire/fire employ/dismiss"
    " join/leave appear/disappear arise/vanish encourage/discourage help/hinder help/harm benefit/harm"
    " promote/hinder cause/prevent allow/prevent protect/harm accept/refuse accept/decline approve/deny grant/deny"
    " grant/refuse confirm/deny admit/deny permit/ban allow/ban favor/oppose favour/oppose favor/reject"
    " favour/reject support/reject oppose/favor resist/accept like/dislike praise/criticize praise/criticise"
    " praise/condemn trust/distrust hope/fear give/take give/receive send/receive lend/borrow lender/borrower"
    " buyer/seller employer/employee producer/consumer supply/demand profit/loss gain/loss income/expense"
    " surplus/deficit asset/liability input/output upload/download encrypt/decrypt lock/unlock enable/disable"
    " connect/disconnect add/remove attach/detach guilty/innocent convict/acquit natural/artificial"
    " natural/synthetic solid/liquid rural/urban land/sea inland/coastal native/foreign local/foreign"
    " civilian/military amateur/professional formal/informal partial/complete partial/total general/specific"
    " visible/hidden healthy/sick healthy/ill husband/wife father/mother son/daughter brother/sister boy/girl"
    " king/queen prince/princess uncle/aunt nephew/niece sender/recipient most/few every/none"
    " everyone/nobody everything/nothing finish/begin finish/start"
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: its index term, whether it carries content, and whether it is written as a name."""

    term: str
    content: bool
    name: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A text in comparable parts. `words` in text order, `vocabulary` their terms; `figures` are values, in text order;
    `denials` holds for each negator the (up to two) content terms behind it.
    """

    words: tuple[Word, ...]
    figures: tuple[float, ...]
    denials: tuple[frozenset[str], ...]
    vocabulary: frozenset[str]

    @property
    def terms(self) -> tuple[str, ...]:
        """Distinct content terms in order."""
        return tuple(dict.fromkeys(word.term for word in self.words if word.content))

    @property
    def names(self) -> tuple[str, ...]:
        """Distinct terms written as names, in order."""
        return tuple(dict.fromkeys(word.term for word in self.words if word.name))


@remembers_texts(2048)  # the sentences of one answer are compared with the same passages again and again
def claim_of(text: str) -> Claim:
    """The parts of `text`."""
    words = tuple(_words(text))
    figures = tuple(figure.value for figure in figures_of(text))
    return Claim(words, figures, tuple(_denials(text)), frozenset(word.term for word in words))


def opposites(one: Claim, other: Claim) -> int:
    """How many words of `one` have an opposite in `other`, where neither side holds both: antonyms, and words that
    differ by a denying prefix (registered, unregistered).
    """
    mine, theirs = one.vocabulary - other.vocabulary, other.vocabulary - one.vocabulary
    return sum(not theirs.isdisjoint(_against(term)) for term in mine)


@lru_cache(maxsize=1 << 14)
def _against(term: str) -> frozenset[str]:
    """Its antonyms, and the term with a denying prefix more or less."""
    return frozenset((*_opposites().get(term, ()), *_reversed(term)))


def _reversed(term: str) -> tuple[str, ...]:
    """The term with each denying prefix, and without the one that it has."""
    denied = [prefix + term for prefix, least in _DENYING_PREFIXES.items() if len(term) >= least]
    bare = [
        term[len(prefix) :]
        for prefix, least in _DENYING_PREFIXES.items()
        if term.startswith(prefix) and len(term) >= len(prefix) + least
    ]
    return (*denied, *bare)


def _words(text: str) -> list[Word]:
    found: list[Word] = []
    begins = {match.end() for match in _BEGINS.finditer(text)}
    for match in _WORD.finditer(text):
        token = match.group()
        if _is_han(token):
            terms = analyse_query(token)
            words = [term for term in terms if len(term) > 1] or terms
            found += [Word(term, term not in _function_terms(), False) for term in dict.fromkeys(words)]
        else:
            word_of = _known_word if len(token) <= MAX_TERM_CHARS else _word
            word = word_of(token, begins=match.start() in begins)
            found += [word] if word is not None else []
    return found


def _word(token: str, *, begins: bool) -> Word | None:
    """A word of a spaced script, which `begins` a sentence or does not; None where the index leaves it out."""
    terms = analyse_query(token)
    if not terms:
        return None
    name = token[0].isupper() and (not begins or token[1:].lower() != token[1:])
    acronym = len(token) > 1 and token.isupper()
    content = (acronym or terms[0] not in _function_terms()) and not token[0].isdigit()
    return Word(terms[0], content, name and content)


_known_word = lru_cache(maxsize=1 << 14)(_word)


def _is_han(token: str) -> bool:
    return "\u4e00" <= token[0] <= "\u9fff"


def _denials(text: str) -> Iterator[frozenset[str]]:
    plain = _NOT_ONLY.sub(" ", text)
    for negator in _NEGATOR.finditer(plain):
        behind = _CLAUSE_END.split(plain[negator.end() : negator.end() + _SCOPE_CHARS], maxsplit=1)[0]
        following = [word.term for word in _words(behind) if word.content]
        yield frozenset(following[:_SCOPE])


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(analyse_document(_FUNCTION_WORDS))


@cache
def _opposites() -> dict[str, tuple[str, ...]]:
    pairs: dict[str, set[str]] = {}
    for pair in _ANTONYMS.split():
        one, other = (analyse_document(word)[0] for word in pair.split("/"))
        if one != other:
            pairs.setdefault(one, set()).add(other)
            pairs.setdefault(other, set()).add(one)
    return {term: tuple(sorted(against)) for term, against in pairs.items()}


def order_kept(terms: Sequence[str], others: Sequence[str]) -> float:
    """Longest common subsequence of two term lists as a share of the terms of the first that the second holds; 1 if
    there are none.
    """
    held = [term for term in terms if term in set(others)]
    if not held:
        return 1.0
    best = [0] * (len(others) + 1)
    for term in held:
        diagonal = 0
        for index, other in enumerate(others, start=1):
            above = best[index]
            best[index] = diagonal + 1 if term == other else max(best[index], best[index - 1])
            diagonal = above
    return best[-1] / len(held)
