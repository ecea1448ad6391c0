"""Two or more ranked lists of candidates into one. Knows no index and no text; keeps the score of every
stage.

The default is `convex_combination` with equal weights: on the English development sets it was better than
reciprocal rank fusion throughout, and never measurably worse than the better list alone
(docs/decisions/0003-index-engines.md). `embedder_fits` decides which queries the vectors have no part in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates, check_top_k

RRF_K = 60
"""Cormack, Clarke and Buettcher (2009) chose it on TREC data and found values around it to differ little."""

DEFAULT_FUSION = "convex"

MIN_SCRIPT_SHARE = 0.5
"""Half of a query's letters must be in a script of the embedder; a product name in a Chinese question is
less.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A list of candidates with name and weight of the stage that found it; weight 0 leaves it out."""

    name: str
    candidates: Candidates
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class StageScore:
    """Where one stage placed a chunk: rank from 1, and its score in the stage's own unit."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class FusedHit:
    """A chunk with its fused score; `stages` has an entry for each stage that found it."""

    chunk: int
    score: float
    stages: Mapping[str, StageScore]


def reciprocal_rank_fusion(stages: Sequence[Stage], *, top_k: int, rrf_k: int = RRF_K) -> tuple[FusedHit, ...]:
    """Sum over the stages of weight / (rrf_k + rank), ranks from 1; a stage that did not find the chunk adds
    0.

    With all weights 1 this is the formula of the paper. Returns at most `top_k` hits by score descending,
    then chunk key ascending. Raises `InvalidInput` if `top_k` is below 1, `rrf_k` or a weight is negative or
    not finite, or two stages share a name.

    Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
    Methods", SIGIR 2009. The weights are an extension that the paper does not have.
    """
    if rrf_k < 0:
        raise InvalidInput(f"rrf_k is {rrf_k}; it must be 0 or more ({RRF_K} in the paper)")
    return _fuse(stages, lambda candidates: 1.0 / (rrf_k + _ranks(candidates)), top_k=top_k)


def convex_combination(stages: Sequence[Stage], *, top_k: int) -> tuple[FusedHit, ...]:
    """Sum over the stages of weight * (score - min) / (max - min), divided by the sum of the weights: in [0,
    1].

    min and max are those of the stage's own list, so its last candidate counts as much as one not found: 0. A
    list whose scores are all equal counts 1 throughout. Lists should be much longer than `top_k` (100 for
    10). Returns at most `top_k` hits by score descending, then chunk key ascending. Raises `InvalidInput` if
    `top_k` is below 1, a weight is negative or not finite, or two stages share a name.

    Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023 (their M_mm).
    """
    return _fuse(_weights_sum_to_1(stages), _min_max, top_k=top_k)


FUSIONS: Mapping[str, Callable[..., tuple[FusedHit, ...]]] = {
    "convex": convex_combination,
    "rrf": reciprocal_rank_fusion,
}


def fuse(stages: Sequence[Stage], *, top_k: int, fusion: str = DEFAULT_FUSION) -> tuple[FusedHit, ...]:
    """Fuse by the method of that name. Raises `InvalidInput` for a name not in `FUSIONS`, and as the method
    does.
    """
    if fusion not in FUSIONS:
        raise InvalidInput(f"unknown fusion {fusion!r}; choose one of {', '.join(sorted(FUSIONS))}")
    return FUSIONS[fusion](stages, top_k=top_k)


def fuse_vector_and_lexical(
    vector: Candidates,
    lexical: Candidates,
    *,
    top_k: int,
    weight_vector: float = 1.0,
    weight_lexical: float = 1.0,
    fusion: str = DEFAULT_FUSION,
) -> tuple[FusedHit, ...]:
    """Fuse the stages `vector` and `lexical`, weighted for this query.

    `weight_vector` is 0 for a query that the embedder cannot represent (see `embedder_fits`); then only the
    lexical candidates count. Order and errors as in `fuse`.
    """
    stages = (Stage("vector", vector, weight_vector), Stage("lexical", lexical, weight_lexical))
    return fuse(stages, top_k=top_k, fusion=fusion)


def embedder_fits(query: str, *, languages: tuple[str, ...] | None, min_share: float = MIN_SCRIPT_SHARE) -> bool:
    """Whether the embedder can represent the query: at least `min_share` of its letters are in its scripts.

    `languages` are the ISO 639-1 codes that the embedder's card declares, None for any language. A query
    without letters (a number) fits. Scripts, not languages: French passes for an English embedder, and has
    its words in common with its vocabulary; Chinese does not. Raises `InvalidInput` for a code whose script
    is not known here.
    """
    if languages is None:
        return True
    scripts = _scripts(languages)
    letters = [c for c in unicodedata.normalize("NFKC", query) if c.isalpha()]
    fitting = sum(_script(letter) in scripts for letter in letters)
    return not letters or fitting >= min_share * len(letters)


# Scripts as the first word of a character's Unicode name; CJK are the Han characters.
_LATIN = (
    "af az bs ca cs cy da de en eo es et eu fi fr ga gl hr hu id is it la lt lv ms mt nb nl no pl pt ro sk sl"
    " sq sv sw tl tr vi"
)
_SCRIPTS_OF_LANGUAGE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_LATIN.split(), ("LATIN",)),
    **dict.fromkeys(["be", "bg", "kk", "ky", "mk", "mn", "ru", "tg", "uk"], ("CYRILLIC",)),
    **dict.fromkeys(["ar", "fa", "ps", "ur"], ("ARABIC",)),
    **dict.fromkeys(["hi", "mr", "ne"], ("DEVANAGARI",)),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "hy": ("ARMENIAN",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
    "ka": ("GEORGIAN",),
    "km": ("KHMER",),
    "ko": ("HANGUL",),
    "lo": ("LAO",),
    "my": ("MYANMAR",),
    "sr": ("CYRILLIC", "LATIN"),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "zh": ("CJK",),
}


def _scripts(languages: Sequence[str]) -> frozenset[str]:
    unknown = sorted(set(languages) - set(_SCRIPTS_OF_LANGUAGE))
    if unknown:
        raise InvalidInput(
            f"no script is known for language {', '.join(unknown)}; declare ISO 639-1 codes, or none for any"
        )
    return frozenset(script for language in languages for script in _SCRIPTS_OF_LANGUAGE[language])


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


def _fuse(
    stages: Sequence[Stage], contribution: Callable[[Candidates], NDArray[np.float64]], *, top_k: int
) -> tuple[FusedHit, ...]:
    """Weighted sum of what each stage contributes to each of its candidates."""
    check_top_k(top_k)
    _check_stages(stages)
    totals: dict[int, float] = {}
    for stage in stages:
        if stage.weight > 0:
            parts = stage.weight * contribution(stage.candidates)
            for chunk, part in zip(stage.candidates.chunks.tolist(), parts.tolist(), strict=True):
                totals[chunk] = totals.get(chunk, 0.0) + part
    best = sorted(totals, key=lambda chunk: (-totals[chunk], chunk))[:top_k]
    places = {stage.name: _places(stage.candidates) for stage in stages}
    return tuple(
        FusedHit(chunk, totals[chunk], {name: of[chunk] for name, of in places.items() if chunk in of})
        for chunk in best
    )


def _check_stages(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise InvalidInput(f"stages are named {', '.join(names)}; give each its own name")
    for stage in stages:
        if not (np.isfinite(stage.weight) and stage.weight >= 0):
            raise InvalidInput(f"stage {stage.name} has weight {stage.weight}; it must be finite and 0 or more")


def _places(candidates: Candidates) -> dict[int, StageScore]:
    pairs = zip(candidates.chunks.tolist(), candidates.scores.tolist(), strict=True)
    return {chunk: StageScore(rank, score) for rank, (chunk, score) in enumerate(pairs, start=1)}


def _ranks(candidates: Candidates) -> NDArray[np.float64]:
    return np.arange(1, len(candidates) + 1, dtype=np.float64)


def _min_max(candidates: Candidates) -> NDArray[np.float64]:
    scores = candidates.scores.astype(np.float64)
    if len(scores) == 0 or scores[0] == scores[-1]:
        return np.ones(len(scores))
    scaled: NDArray[np.float64] = (scores - scores[-1]) / (scores[0] - scores[-1])
    return scaled


def _weights_sum_to_1(stages: Sequence[Stage]) -> list[Stage]:
    """Stages whose weights are shares; all left out where no weight is above 0."""
    total = sum(stage.weight for stage in stages)
    if not total > 0 or not np.isfinite(total):
        return list(stages)
    return [Stage(stage.name, stage.candidates, stage.weight / total) for stage in stages]
