"""The wall between what measures and what trains: no question that evaluates or calibrates may become an example."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from eval.normalise import answer_tokens
from eval.question_sets import EvaluationQuestion

TRAIN_POOL = "train"
_SAME = 0.8


class LeakWall:
    """Knows every phrasing of every question outside the pool `train`."""

    def __init__(self, questions: Iterable[EvaluationQuestion]) -> None:
        self._sets: list[frozenset[str]] = []
        self._holding: dict[str, list[int]] = defaultdict(list)
        for question in questions:
            if question.pool != TRAIN_POOL:
                for phrasing in (question.question, *question.paraphrases):
                    self._add(frozenset(answer_tokens(phrasing)))

    def lets_through(self, text: str) -> bool:
        """Whether no protected phrasing shares 80 % of its words with the text (Jaccard, after normalisation)."""
        tokens = frozenset(answer_tokens(text))
        shared: Counter[int] = Counter(number for token in tokens for number in self._holding.get(token, ()))
        return all(count / (len(tokens) + len(self._sets[number]) - count) < _SAME for number, count in shared.items())

    def _add(self, tokens: frozenset[str]) -> None:
        for token in tokens:
            self._holding[token].append(len(self._sets))
        self._sets.append(tokens)
