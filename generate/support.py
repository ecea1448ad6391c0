"""How well is a sentence supported by what it cites? A calibrated probability, from lexical entailment and meaning.

A verbatim quote is supported. Otherwise figures, names and denials have to agree, content words and their order should,
and the embedder compares the meaning of the sentence and its quote. Logistic models fitted by `eval.fit_support`,
shipped as `data/models/support.json`, turn these signals into the probability; sentences in a script that the embedder
cannot read use a second one without embeddings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from generate.claims import NEGATORS, Claim, Word, claim_of, opposites, order_kept
from generate.logistic import LogisticModel, saturated
from ingest.models import Encoder, ModelRuntime, Priority
from retrieve.fusion import embedder_fits

FEATURES = (
    "recall",
    "passage_recall",
    "unknown_terms",
    "unknown_names",
    "distant_names",
    "unknown_figures",
    "distant_figures",
    "replaced",
    "reworded",
    "misplaced",
    "denied",
    "denial_dropped",
    "denial_cut",
    "opposites",
    "order",
    "extent",
    "cosine",
)
"""Order of the weights; see `signals` for what each is."""

_PREFIX_MIN = 5
_NEIGHBOURS = 4
_CUT_MAX = 4
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class SupportWeights:
    """`support` judges with embeddings, `lexical_support` without."""

    support: LogisticModel
    lexical_support: LogisticModel

    @classmethod
    def load(cls, path: Path) -> SupportWeights:
        """Reads the file that `eval.fit_support` writes. Raises `ValueError` when its features are not ours."""
        body = json.loads(path.read_text())
        if tuple(body["features"]) != FEATURES:
            raise ValueError(f"{path} was fitted on other features; fit it again with python -m eval.fit_support")
        return cls(*(LogisticModel.of(body[name]) for name in ("support", "lexical_support")))


class EntailmentSupport:
    """Probability that quotes, read in their passages, support a sentence; 1 for a verbatim quote."""

    name = "entailment-1"

    def __init__(self, runtime: ModelRuntime, encoder: Encoder, weights: SupportWeights, *, timeout_s: float) -> None:
        self._runtime = runtime
        self._encoder = encoder
        self._weights = weights
        self._timeout_s = timeout_s

    def support(self, sentence: str, quotes: Sequence[str], passages: Sequence[str] = ()) -> float:
        """In [0, 1]. `passages` are the texts around the quotes, with their titles: a name or figure that stands only
        there counts as half known. Raises `DeadlineExceeded` and `Overloaded` as the model runtime does.
        """
        if is_verbatim(sentence, quotes):
            return 1.0
        readable = self._readable(sentence)
        model = self._weights.support if readable else self._weights.lexical_support
        return model.probability(self.feature_row(sentence, quotes, passages))

    def feature_row(self, sentence: str, quotes: Sequence[str], passages: Sequence[str]) -> tuple[float, ...]:
        """In the order of `FEATURES`."""
        cosine = self._cosine(sentence, quotes) if self._readable(sentence) and quotes else 0.0
        return (*signals(sentence, quotes, passages), cosine)

    def _readable(self, sentence: str) -> bool:
        return embedder_fits(sentence, languages=self._encoder.judged_languages)

    def _cosine(self, sentence: str, quotes: Sequence[str]) -> float:
        vectors = self._runtime.embed(
            self._encoder,
            [sentence, " ".join(quotes)],
            kind="document",
            priority=Priority.QUERY,
            timeout_s=self._timeout_s,
        )
        return float(vectors[0] @ vectors[1])


def is_verbatim(sentence: str, quotes: Sequence[str]) -> bool:
    """Whether one of the quotes holds the sentence, but for white space."""
    flat = _SPACE.sub(" ", sentence).strip()
    return bool(flat) and any(flat in _SPACE.sub(" ", quote) for quote in quotes)


def signals(sentence: str, quotes: Sequence[str], passages: Sequence[str]) -> tuple[float, ...]:
    """All of `FEATURES` but the cosine.

    Shares of the sentence's content terms that stand in its quotes, and in their passages; how many stand in neither
    (up to 3); how many names, and figures, stand in neither, and how many in the passages only; share of names and
    figures, and of other words, that stand where the quotes have others; share of names and figures that stand among
    other words than there; denials that the quotes do not make, and those of theirs that are
    left out; opposites; the order of the shared terms; how much of the quotes it tells.
    """
    claim, quoted = claim_of(sentence), claim_of("\n".join(quotes))
    around = claim_of("\n".join([*quotes, *passages]))
    terms, held, known = claim.terms, quoted.vocabulary, around.vocabulary
    names = frozenset(claim.names)
    near = [term for term in terms if _stands_in(term, held, names)]
    unknown = [term for term in terms if not _stands_in(term, known, names)]
    replaced, reworded, cut = _replacements(claim, quoted)
    figures, quoted_figures, known_figures = set(claim.figures), set(quoted.figures), set(around.figures)
    count = max(len(terms), 1)
    return (
        len(near) / count,
        1 - len(unknown) / count,
        saturated(len([term for term in unknown if term not in names])),
        saturated(len([term for term in unknown if term in names])),
        saturated(len([term for term in names if term in known and term not in held])),
        saturated(len(figures - known_figures)),
        saturated(len((figures & known_figures) - quoted_figures)),
        saturated(replaced),
        saturated(reworded),
        _misplaced(claim, quoted),
        float(_denials_added(claim, quoted)),
        float(_denials_dropped(claim, quoted)),
        float(cut),
        saturated(opposites(claim, quoted)),
        order_kept(terms, [word.term for word in quoted.words]),
        min(1.0, len(near) / max(len(quoted.terms), 1)),
    )


def _stands_in(term: str, held: frozenset[str], names: frozenset[str]) -> bool:
    """The term itself or, unless it is a name, a longer or shorter form of it that shares at least five letters."""
    if term in held or term in names:
        return term in held
    return len(term) >= _PREFIX_MIN and any(
        len(other) >= _PREFIX_MIN and (other.startswith(term) or term.startswith(other)) for other in held
    )


def _misplaced(claim: Claim, quoted: Claim) -> float:
    """Share of the names and figures common to both whose neighbours there are not those that they have here."""
    anchors = [index for index, word in enumerate(claim.words) if _is_anchor(word)]
    places: dict[str, list[int]] = {}
    for index, word in enumerate(quoted.words):
        places.setdefault(word.term, []).append(index)
    compared = moved = 0
    for index in anchors:
        beside = _beside(claim.words, index, _NEIGHBOURS)
        there = [_beside(quoted.words, place, 2 * _NEIGHBOURS) for place in places.get(claim.words[index].term, ())]
        if beside and there:
            compared += 1
            moved += not any(beside & others for others in there)
    return moved / compared if compared else 0.0


def _is_anchor(word: Word) -> bool:
    return word.name or word.term[0].isdigit()


def _beside(words: Sequence[Word], index: int, reach: int) -> set[str]:
    around = [*words[max(0, index - reach) : index], *words[index + 1 : index + 1 + reach]]
    return {word.term for word in around if word.content}


def _denials_added(claim: Claim, quoted: Claim) -> bool:
    """The sentence denies something that its quotes tell without denying it."""
    denied = frozenset().union(*quoted.denials)
    return len(claim.denials) > len(quoted.denials) or any(
        terms & quoted.vocabulary and not terms & denied for terms in claim.denials
    )


def _denials_dropped(claim: Claim, quoted: Claim) -> bool:
    """The quotes deny something that the sentence tells without denying it."""
    denied = frozenset().union(*claim.denials)
    return any(terms & claim.vocabulary and not terms & denied for terms in quoted.denials)


def _replacements(claim: Claim, quoted: Claim) -> tuple[int, int, bool]:
    """Where the two texts run alike: names and figures that stand in another's place, other words that do, and whether
    a negator was cut out.
    """
    mine, theirs = [word.term for word in claim.words], [word.term for word in quoted.words]
    anchors, reworded, cut = 0, 0, False
    for kind, start, end, there, stop in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if kind in ("delete", "replace") and stop - there <= _CUT_MAX and start > 0 and end < len(mine):
            cut = cut or bool(NEGATORS & set(theirs[there:stop]) and not NEGATORS & set(mine[start:end]))
        if kind == "replace":
            new = [word for word in claim.words[start:end] if word.term not in theirs[there:stop]]
            gone = [word for word in quoted.words[there:stop] if word.term not in mine]
            fixed = [word for word in gone if _is_anchor(word)]
            anchors += min(len([word for word in new if _is_anchor(word)]), len(fixed))
            reworded += min(
                len([w for w in new if w.content and not _is_anchor(w)]), len([w for w in gone if w.content])
            )
    return anchors, reworded, cut
