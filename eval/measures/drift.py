"""Whether answers, rankings, embeddings and scores are still those of the baseline. Explains; never gates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

FloatArray = NDArray[np.float32] | NDArray[np.float64]
_PERMUTATIONS = 500
_DOMAIN_ROWS_MIN = 10


@dataclass(frozen=True, slots=True)
class MeanDiscrepancy:
    """MMD^2 (may be below 0) and the share of permutations that reach it."""

    mmd2: float
    p: float


def answer_drift(before: Sequence[Sequence[Hashable]], after: Sequence[Sequence[Hashable]]) -> float | None:
    """Disagreement of tonight with the baseline beyond the baseline's own, about 0 when nothing changed, at most 1.

    (1 - mean_i P(tonight's cluster = a baseline's cluster)) - (1 - mean_i AS_i), clusters of meaning per question over
    both sides together. None without a question of two baseline replicates and one of tonight.
    """
    changes = []
    for old, new in zip(before, after, strict=True):
        if len(old) < 2 or not new:
            continue
        agree = sum(a == b for a in old for b in new) / (len(old) * len(new))
        own = sum(a == b for i, a in enumerate(old) for j, b in enumerate(old) if i != j) / (len(old) * (len(old) - 1))
        changes.append(own - agree)
    return sum(changes) / len(changes) if changes else None


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float = 0.9) -> float | None:
    """RBO_ext = (X_k / k) p^k + ((1 - p) / p) sum_{d<=k} (X_d / d) p^d, X_d = overlap of the two prefixes of depth d.

    In [0, 1]; k is the length of the shorter ranking; None where one is empty. p = 0.9 puts 86 % of the weight on the
    first ten. For rankings without ties. Compare it with the RBO of two reruns. Source: Webber, Moffat and Zobel, TOIS
    2010, equation 30 for equal lengths.
    """
    k = min(len(one), len(other))
    if k == 0:
        return None
    seen_one: set[str] = set()
    seen_other: set[str] = set()
    total, agreement = 0.0, 0.0
    for depth in range(1, k + 1):
        seen_one.add(one[depth - 1])
        seen_other.add(other[depth - 1])
        agreement = len(seen_one & seen_other) / depth
        total += agreement * p**depth
    return float(agreement * p**k + (1 - p) / p * total)


def mean_discrepancy(before: FloatArray, after: FloatArray, *, seed: int = 0) -> MeanDiscrepancy | None:
    """MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y), off the diagonal, with a permutation p-value.

    Arrays of shape (n, dim) and (m, dim) of one embedder; RBF kernel, its bandwidth the median distance. None below two
    rows a side. Source: Gretton et al., JMLR 2012 (the unbiased estimate).
    """
    n, m = len(before), len(after)
    if min(n, m) < 2:
        return None
    kernel = _rbf(np.concatenate([before, after]).astype(np.float64))
    observed = _mmd2(kernel, np.arange(n + m), n)
    generator = np.random.default_rng(seed)
    reached = sum(_mmd2(kernel, generator.permutation(n + m), n) >= observed for _ in range(_PERMUTATIONS))
    return MeanDiscrepancy(observed, (1 + reached) / (1 + _PERMUTATIONS))


def domain_auc(before: FloatArray, after: FloatArray, *, seed: int = 0) -> float | None:
    """ROC-AUC of a logistic regression that tells new embeddings from old, over 5 cross-validated folds: 0.5 is none.

    Arrays of shape (n, dim) and (m, dim) of one embedder; may fall below 0.5 by chance. None below ten rows a side.
    Source: domain classifier drift, Rabanser et al., NeurIPS 2019.
    """
    if min(len(before), len(after)) < _DOMAIN_ROWS_MIN:
        return None
    points = np.concatenate([before, after]).astype(np.float64)
    domain = np.repeat([0, 1], [len(before), len(after)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    guesses = cross_val_predict(LogisticRegression(max_iter=1000), points, domain, cv=folds, method="predict_proba")
    return float(roc_auc_score(domain, guesses[:, 1]))


def canary_cosine(before: FloatArray, after: FloatArray) -> float | None:
    """Least cosine of pinned texts embedded then and now, arrays of shape (n, dim); None without texts.

    Below 0.9999 the embedder is another one.
    """
    if len(before) == 0:
        return None
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return float(((before * after).sum(axis=1) / np.maximum(norms, 1e-12)).min())


def population_stability(expected: Sequence[float], actual: Sequence[float], bins: int = 10) -> float | None:
    """PSI = sum_b (a_b - e_b) ln(a_b / e_b) over the expected sample's quantile bins, >= 0; None where one is empty.

    Half a count is added to every bin, so that empty ones stay finite.
    """
    if not expected or not actual:
        return None
    edges = np.unique(np.quantile(expected, np.linspace(0, 1, bins + 1)[1:-1]))
    places = len(edges) + 1
    e = np.bincount(np.searchsorted(edges, expected, side="right"), minlength=places) + 0.5
    a = np.bincount(np.searchsorted(edges, actual, side="right"), minlength=places) + 0.5
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def population_stability_limit(expected: int, actual: int, bins: int = 10, level: float = 0.01) -> float:
    """chi2_{1-level}(B - 1) (1/n + 1/m): what PSI exceeds by chance in `level` of cases without drift.

    The usual 0.1 and 0.25 know no sample size; at 200 and 200 the mean without drift is 0.09. Own arithmetic: PSI is
    about (1/n + 1/m) chi2(B - 1).
    """
    return float(chi2.ppf(1 - level, bins - 1) * (1 / expected + 1 / actual))


def _rbf(points: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (points**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * points @ points.T, 0)
    positive = distances[distances > 1e-12]
    bandwidth = float(np.median(positive)) if positive.size else 1.0
    return np.asarray(np.exp(-distances / bandwidth), dtype=np.float64)


def _mmd2(kernel: NDArray[np.float64], order: NDArray[np.intp], n: int) -> float:
    x, y = order[:n], order[n:]
    m = len(y)
    xx, yy = kernel[np.ix_(x, x)], kernel[np.ix_(y, y)]
    same = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(same - 2 * kernel[np.ix_(x, y)].mean())
