"""Whether tonight's answers lie elsewhere than the baseline's in the space of the embedder, and whether that itself is
still the same. Explains; never gates.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.measures import canary_cosine, domain_auc, mean_discrepancy
from eval.rows import EvaluationRow
from ingest.generations import Generation

Embed = Callable[[Sequence[str], Generation], NDArray[np.float32]]
"""Vectors of texts by the embedder of a generation, shape (n, dimensions)."""

_CANARIES = ("The harbour master gave notice of the gale at noon.", "渡轮于早上八点从北岸开出。")
_ANSWERS_MAX = 200


@dataclass(frozen=True, slots=True)
class EmbeddingDrift:
    """MMD^2 with its permutation p and the domain classifier's AUC, over `before` and `after` answers; None below the
    least numbers of each (see `eval.measures.drift`). `canary`: least cosine of pinned texts, embedded then and now;
    below 0.9999 the embedder is another one.
    """

    before: int
    after: int
    mmd2: float | None
    p: float | None
    domain_auc: float | None
    canary: float | None


def canary_of(embed: Embed, generation: Generation) -> str:
    """The pinned texts' vectors as base64 of float16, for a run's environment."""
    return base64.b64encode(embed(_CANARIES, generation).astype(np.float16).tobytes()).decode()


def embedding_drift(
    embed: Embed,
    generation: Generation,
    before: tuple[Sequence[EvaluationRow], Mapping[str, Any]],
    after: tuple[Sequence[EvaluationRow], Mapping[str, Any]],
) -> dict[str, Any]:
    """`EmbeddingDrift` as JSON, of the rows and environments of the baseline and of tonight. Both sides' answers are
    embedded now, by one embedder; of each side the first asks, at most 200, the same questions every time.
    """
    old, new = _answers(before[0]), _answers(after[0])
    texts = sorted({*old, *new})
    vectors = dict(zip(texts, embed(texts, generation), strict=True)) if texts else {}
    x, y = (np.stack([vectors[text] for text in side]) if side else np.zeros((0, 1)) for side in (old, new))
    discrepancy = mean_discrepancy(x, y)
    return asdict(
        EmbeddingDrift(
            before=len(old),
            after=len(new),
            mmd2=None if discrepancy is None else discrepancy.mmd2,
            p=None if discrepancy is None else discrepancy.p,
            domain_auc=domain_auc(x, y),
            canary=_canary(before[1].get("canary"), after[1].get("canary")),
        )
    )


def _answers(rows: Sequence[EvaluationRow]) -> list[str]:
    first = {(row.question_id, row.phrasing): row for row in reversed(rows) if row.answer is not None}
    drawn = sorted(first, key=lambda key: hashlib.sha256(repr(key).encode()).hexdigest())[:_ANSWERS_MAX]
    return [str(first[key].answer) for key in drawn]


def _canary(before: str | None, after: str | None) -> float | None:
    """None where a run kept none, or vectors of another length."""
    if before is None or after is None or len(before) != len(after):
        return None
    old, new = (
        np.frombuffer(base64.b64decode(one), dtype=np.float16).astype(np.float64).reshape(len(_CANARIES), -1)
        for one in (before, after)
    )
    return canary_cosine(old, new)
