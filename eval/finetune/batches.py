"""Examples as token windows, in steps of like length; deterministic for a seed: a resumed run goes on exactly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eval.finetune.examples import Example
from ingest.models.windows import PairTokenizer, Window
from ingest.sentences import Span

EASY_NULL_WEIGHT = 0.3
"""Weight of a retrieved negative where it stands for "no answer": there are three a question, told apart by topic."""

_POOL_STEPS = 16


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a teacher gives for a window: the logit of "no answer"; `starts` and `ends` float16 of shape (tokens,),
    probabilities, the null answer's at 0; `states` float16 of shape (depths, tokens, teacher's width), its hidden
    states at `eval.finetune.states.DEPTHS`.
    """

    no_answer: float
    starts: NDArray[np.float16]
    ends: NDArray[np.float16]
    states: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Target:
    """What the window of one pair should give.

    `example` numbers the question within its step; `span` holds the positions of the answer's first and last token,
    (0, 0) for the null answer, None where it is not known; `opinion` is the teacher's, if there is one.
    """

    example: int
    answers: bool
    span: tuple[int, int] | None
    weight: float
    opinion: Opinion | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An example as one window a passage."""

    windows: tuple[Window, ...]
    targets: tuple[Target, ...]

    @property
    def longest(self) -> int:
        return max(len(window.ids) for window in self.windows)


def prepare(example: Example, tokenizer: PairTokenizer, draw: random.Random) -> Prepared:
    """Windows of the example's passages; the first one's is the window that holds the answer."""
    windows, targets = [], []
    for place, passage in enumerate(example.passages):
        parts = tokenizer.windows([(example.question, passage)])
        answers = example.answerable and place == 0
        if answers and example.answer:
            window, span = _with_answer(parts, Span(*example.answer))
        else:
            window, span = parts[0] if place == 0 else draw.choice(parts), None if answers else (0, 0)
        windows.append(window)
        targets.append(Target(0, answers, span, 1.0 if place == 0 else EASY_NULL_WEIGHT))
    return Prepared(tuple(windows), tuple(targets))


def steps_of_epoch(prepared: Sequence[Prepared], *, pairs_per_step: int, seed: int) -> list[list[int]]:
    """Indices of the examples of each step: like lengths together, steps in random order."""
    draw = random.Random(seed)  # noqa: S311 - not a secret
    order = list(range(len(prepared)))
    draw.shuffle(order)
    pool = max(1, _POOL_STEPS * pairs_per_step // 2)
    steps: list[list[int]] = []
    for begin in range(0, len(order), pool):
        chosen = sorted(order[begin : begin + pool], key=lambda index: prepared[index].longest)
        step: list[int] = []
        for index in chosen:
            if step and sum(len(prepared[i].windows) for i in (*step, index)) > pairs_per_step:
                steps.append(step)
                step = []
            step.append(index)
        steps.append(step)
    draw.shuffle(steps)
    return steps


def _with_answer(parts: Sequence[Window], answer: Span) -> tuple[Window, tuple[int, int] | None]:
    for window in parts:
        inside = [
            window.first + place
            for place, span in enumerate(window.spans)
            if span.start < answer.end and answer.start < span.end
        ]
        whole = inside and window.spans[0].start <= answer.start and answer.end <= window.spans[-1].end
        if whole:
            return window, (inside[0], inside[-1])
    return parts[0], None
