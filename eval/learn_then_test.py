"""Learn then Test on the selective risk: a threshold whose answers are wrong in at most a stated share of cases.

The risk among answered questions is not monotone in the threshold, so each threshold of a fixed sequence is tested by
itself, and the sequence stops at the first that cannot be shown to be good: the chance that any of them is bad stays
below delta. Source: Angelopoulos, Bates, Candes, Jordan, Lei, "Learn then Test", 2021 (fixed sequence testing, binomial
p-values); the start of the sequence is learnt on a part of its own. EVALUATION, section 4.

Items of one cluster are not independent, so each cluster counts once at each threshold: by one of its answers at that
threshold, drawn by a seed. The risk is therefore that of a random answer of a random cluster that has one; drawing the
item before looking at the threshold would waste every cluster whose item happens to be refused.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

_TUNE_SHARE = 0.3
_GRID = 40


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question's confidence, whether an answer to it would be wrong (any answer to an unanswerable one is), and what
    it shares its fate with. A confidence below 0 says that it is refused at every threshold.
    """

    confidence: float
    wrong: bool
    cluster: str


@dataclass(frozen=True, slots=True)
class Promise:
    """P(risk of the answers at `threshold` <= `risk`) >= 1 - delta over calibrations. `threshold` None: nothing can be
    promised. Of `tested_on` clusters `n` had an answer, and `errors` of those were wrong; `bound` is their upper
    confidence bound (Clopper-Pearson); `answer_rate` is the share of all items answered; `needed` answers without error
    would do.
    """

    threshold: float | None
    n: int
    errors: int
    bound: float
    answer_rate: float
    tested_on: int
    needed: int


def calibrate(items: Sequence[Labelled], *, risk: float, delta: float, seed: int) -> Promise:
    """The most lenient threshold that the fixed sequence reaches; draws of clusters and items follow the seed."""
    clusters = _clusters(items, seed)
    cut = round(_TUNE_SHARE * len(clusters))
    tune, test = clusters[:cut], clusters[cut:]
    best: Promise | None = None
    for threshold in _sequence(tune, len(test), risk):
        answers = _answers(test, threshold)
        errors = sum(item.wrong for item in answers)
        if float(binom.cdf(errors, len(answers), risk)) > delta:
            break
        best = _promise(threshold, test, len(answers), errors, delta, risk)
    return best or Promise(None, 0, 0, 1.0, 0.0, len(test), answers_needed(risk, delta))


def answers_needed(risk: float, delta: float) -> int:
    """The least number of kept answers, all right, that proves the risk: n with (1 - risk)^n <= delta."""
    return int(np.ceil(np.log(delta) / np.log(1 - risk)))


def _clusters(items: Sequence[Labelled], seed: int) -> list[list[Labelled]]:
    """The clusters in random order, and the items of each in random order."""
    found: dict[str, list[Labelled]] = defaultdict(list)
    for item in items:
        found[item.cluster].append(item)
    generator = random.Random(seed)  # noqa: S311 - not a secret
    for name in sorted(found):
        generator.shuffle(found[name])
    chosen = [found[name] for name in sorted(found)]
    generator.shuffle(chosen)
    return chosen


def _answers(clusters: Sequence[Sequence[Labelled]], threshold: float) -> list[Labelled]:
    """The first item of each cluster that is answered at the threshold."""
    firsts = (next((item for item in own if item.confidence >= threshold), None) for own in clusters)
    return [item for item in firsts if item is not None]


def _sequence(tune: Sequence[Sequence[Labelled]], tested_on: int, risk: float) -> list[float]:
    """Quantiles of the tuning part's confidences from strict to lenient, from where the test is expected to have its
    smallest p-value. Fixed before the testing part is looked at.
    """
    if not tune:
        return []
    scores = np.array([item.confidence for own in tune for item in own])
    wrong = np.array([item.wrong for own in tune for item in own])
    grid = np.unique(np.quantile(scores, np.linspace(0, 1, _GRID)))[::-1]
    grid = grid[grid >= 0]
    expected = []
    for threshold in grid:
        kept = scores >= threshold
        answers = round(tested_on * len(_answers(tune, float(threshold))) / len(tune))
        rate = (float(wrong[kept].sum()) + 0.5) / (float(kept.sum()) + 1)
        expected.append(float(binom.cdf(round(rate * answers), answers, risk)))
    return [float(threshold) for threshold in grid[int(np.argmin(expected)) :]] if expected else []


def _promise(
    threshold: float, test: Sequence[Sequence[Labelled]], n: int, errors: int, delta: float, risk: float
) -> Promise:
    bound = float(beta.ppf(1 - delta, errors + 1, n - errors)) if n > errors else 1.0
    items = [item for own in test for item in own]
    rate = sum(item.confidence >= threshold for item in items) / len(items)
    return Promise(threshold, n, errors, bound, rate, len(test), answers_needed(risk, delta))
