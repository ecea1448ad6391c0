"""What retrieval's noise does to the reader: each question falls into one of four cases, which sum to 1.

Source: MIRAGE (Park et al., NAACL 2025), by exact match there, by `correct` of docs/evaluation.md here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Adaptability:
    """Shares of questions, in [0, 1].

    noise_vulnerability: right on the gold passages alone, wrong on what retrieval found among others (a retriever's
    fault, or a reader's that is led astray). context_acceptability: right on both. context_insensitivity: wrong on the
    gold passages and without any (a reader's fault). context_misinterpretation: right without passages, wrong on the
    gold ones; 0 for a reader that knows nothing by itself.
    """

    noise_vulnerability: float
    context_acceptability: float
    context_insensitivity: float
    context_misinterpretation: float


def adaptability(base: Sequence[bool], oracle: Sequence[bool], mixed: Sequence[bool]) -> Adaptability | None:
    """Whether each question was right without passages, on the gold ones, and on those retrieved; None without any."""
    cases = list(zip(base, oracle, mixed, strict=True))
    if not cases:
        return None
    n = len(cases)
    return Adaptability(
        sum(o and not m for _, o, m in cases) / n,
        sum(o and m for _, o, m in cases) / n,
        sum(not o and not b for b, o, _ in cases) / n,
        sum(not o and b for b, o, _ in cases) / n,
    )
