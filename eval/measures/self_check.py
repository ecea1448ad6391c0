"""Whether an answer contradicts itself when it is asked for again: a detector of what was made up, not of truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Contradicts = Callable[[str, str], float]
"""P(contradiction) of a sentence (second) given a sampled answer (first), in [0, 1]: an NLI model, or a fake."""


def self_check(sentences: Sequence[str], samples: Sequence[str], contradicts: Contradicts) -> tuple[float, ...] | None:
    """For each sentence mean over the samples of P(contradiction | sample), in [0, 1], high is bad; None without
    samples.

    Source: SelfCheckGPT with NLI (Manakul et al., EMNLP 2023). A system that always says the same is never found out.
    """
    if not samples:
        return None
    return tuple(sum(contradicts(sample, sentence) for sample in samples) / len(samples) for sentence in sentences)
