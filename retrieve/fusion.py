"""Two or more ranked lists of candidates into one. Knows no index and no text; keeps the score of every
stage.

The default, `spread`, is a convex combination whose weights are those of the query at hand: each list counts in
proportion to how far its scores lie apart, at a rate fitted for the embedder (`retrieve.fusion_weights`). An embedder
for which nothing was fitted gets equal weights. `embedder_fits` decides which queries the vectors have no part in.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.errors import InvalidInput
from retrieve.candidates import Candidates, check_top_k

RRF_K = 60
"""Cormack, Clarke and Buettcher (2009) chose it on TREC data and found values around it to differ little."""

DEFAULT_FUSION = "spread"

_LEAST_SPREAD = 1e-6
"""Of a list that finds everything equally good: it decides nothing, but what it found is found."""

MIN_SCRIPT_SHARE = 0.5
"""Half of a query's letters must be in a script of the embedder; a product name in a Chinese question is
less.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A list of candidates with name and weight of the stage that found it; weight 0 leaves it out.

    `floor` is the score of a chunk that the list does not hold, None for that of its last candidate: a list cut to the
    best of many says no more of the rest.
    """

    name: str
    candidates: Candidates
    weight: float = 1.0
    floor: float | None = None

    @property
    def spread(self) -> float:
        """How far the best candidate lies above what the list does not hold; 0 of an empty list."""
        scores = self.candidates.scores
        if len(scores) == 0:
            return 0.0
        return float(scores[0]) - (float(scores[-1]) if self.floor is None else self.floor)


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
    return _fuse(stages, lambda stage: 1.0 / (rrf_k + _ranks(stage.candidates)), top_k=top_k)


def convex_combination(stages: Sequence[Stage], *, top_k: int) -> tuple[FusedHit, ...]:
    """Sum over the stages of weight * (score - floor) / (max - floor), divided by the sum of the weights: in [0, 1].

    max is that of the stage's own list; without a floor its last candidate counts as much as one not found: 0. A
    list whose scores are all equal to the floor counts 1 throughout. Lists should be much longer than `top_k` (100 for
    10). Returns at most `top_k` hits by score descending, then chunk key ascending. Raises `InvalidInput` if
    `top_k` is below 1, a weight is negative or not finite, or two stages share a name.

    Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", ACM TOIS 2023 (their M_mm).
    """
    hits = _fuse(_weights_sum_to_1(stages), _min_max, top_k=top_k)
    return tuple(replace(hit, score=1.0) if hit.score > 1 else hit for hit in hits)  # sums are rounded


def spread_combination(stages: Sequence[Stage], *, top_k: int) -> tuple[FusedHit, ...]:
    """`convex_combination` of stages whose weights are worths of one unit of score: times its spread, a stage's weight.

    So scores are added as they are, at fixed rates: a list that sets its best candidates clearly apart decides, one
    that finds everything equally good does not. Order and errors as in `convex_combination`.
    """
    _check_stages(stages)
    spread = [replace(stage, weight=stage.weight * max(stage.spread, _LEAST_SPREAD)) for stage in stages]
    return convex_combination(spread, top_k=top_k)


FUSIONS: Mapping[str, Callable[..., tuple[FusedHit, ...]]] = {
    "convex": convex_combination,
    "rrf": reciprocal_rank_fusion,
    "spread": spread_combination,
}


def fuse(stages: Sequence[Stage], *, top_k: int, fusion: str = DEFAULT_FUSION) -> tuple[FusedHit, ...]:
    """Fuse by the method of that name. Raises `InvalidInput` for a name not in `FUSIONS`, and as the method
    does.
    """
    if fusion not in FUSIONS:
        raise InvalidInput(f"unknown fusion {fusion!r}; choose one of {', '.join(sorted(FUSIONS))}")
    return FUSIONS[fusion](stages, top_k=top_k)


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
    stages: Sequence[Stage], contribution: Callable[[Stage], NDArray[np.float64]], *, top_k: int
) -> tuple[FusedHit, ...]:
    """Weighted sum of what each stage contributes to each of its candidates."""
    check_top_k(top_k)
    _check_stages(stages)
    totals: dict[int, float] = {}
    for stage in stages:
        if stage.weight > 0:
            parts = stage.weight * contribution(stage)
            for chunk, part in zip(stage.candidates.chunks.tolist(), parts.tolist(), strict=True):
                totals[chunk] = totals.get(chunk, 0.0) + part
    best = sorted((-total, chunk) for chunk, total in totals.items())[:top_k]
    places = [(stage.name, _places(stage.candidates), stage.candidates.scores.tolist()) for stage in stages]
    return tuple(
        FusedHit(
            chunk,
            -negative,
            {name: StageScore(of[chunk] + 1, scores[of[chunk]]) for name, of, scores in places if chunk in of},
        )
        for negative, chunk in best
    )


def _check_stages(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise InvalidInput(f"stages are named {', '.join(names)}; give each its own name")
    for stage in stages:
        if not (math.isfinite(stage.weight) and stage.weight >= 0):
            raise InvalidInput(f"stage {stage.name} has weight {stage.weight}; it must be finite and 0 or more")


def _places(candidates: Candidates) -> dict[int, int]:
    """Place of each chunk, the best one's 0."""
    return {chunk: place for place, chunk in enumerate(candidates.chunks.tolist())}


def _ranks(candidates: Candidates) -> NDArray[np.float64]:
    return np.arange(1, len(candidates) + 1, dtype=np.float64)


def _min_max(stage: Stage) -> NDArray[np.float64]:
    scores = stage.candidates.scores.astype(np.float64)
    if stage.spread == 0:
        return np.ones(len(scores))
    floor = scores[-1] if stage.floor is None else stage.floor
    scaled: NDArray[np.float64] = (scores - floor) / stage.spread
    return scaled


def _weights_sum_to_1(stages: Sequence[Stage]) -> list[Stage]:
    """Stages whose weights are shares; all left out where no weight is above 0."""
    total = sum(stage.weight for stage in stages)
    if not total > 0 or not math.isfinite(total):
        return list(stages)
    return [replace(stage, weight=stage.weight / total) for stage in stages]
