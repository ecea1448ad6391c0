"""The training loop: steps of microbatches, a linear schedule, checkpoints that a killed run goes on from.

A loop of our own, because the objective joins three heads over groups of pairs, and because on a CPU each microbatch
is best run by a thread of its own with single-threaded kernels.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from eval.finetune.batches import Prepared, Target, prepare, steps_of_epoch
from eval.finetune.examples import Example
from eval.finetune.objective import OBJECTIVES, loss_of
from eval.finetune.states import STATES_WEIGHT, StateMatching, with_states
from eval.finetune.teacher import Teacher
from ingest.models.network import JointNetwork
from ingest.models.windows import PairTokenizer, padded

_CHECKPOINT = "checkpoint.pt"
_MATCHING_SAMPLE = 480


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything that decides the result, beside the examples.

    `learning_rate` is the peak after `warmup` (a share of all steps), from which it falls to 0; `threads` are the
    microbatches of a step on a CPU; `max_tokens` the length of one window.
    """

    objective: str = "joint"
    rank: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    epochs: int = 1
    pairs_per_step: int = 32
    max_tokens: int = 176
    seed: int = 7
    threads: int = 2
    checkpoint_steps: int = 50


class Training:
    """One run into the folder `out`; construct and `run`. Goes on from a checkpoint of the same plan and examples.

    A `teacher` is asked about every window first (into `out/opinions`), but for examples of the sources `untaught`;
    what it says is learned beside the labels, and its hidden states with them.
    """

    def __init__(
        self,
        network: JointNetwork,
        tokenizer: PairTokenizer,
        examples: Sequence[Example],
        plan: TrainingPlan,
        out: Path,
        *,
        device: str = "cpu",
        teacher: Teacher | None = None,
        untaught: Collection[str] = (),
    ) -> None:
        torch.manual_seed(plan.seed)
        self._network, self._plan, self._out, self._device = network.to(device), plan, out, device
        draw = random.Random(plan.seed)  # noqa: S311 - not a secret
        self._prepared = [prepare(example, tokenizer, draw) for example in examples]
        self._matching: StateMatching | None = None
        if teacher is not None:
            taught = [place for place, example in enumerate(examples) if example.source not in untaught]
            judged = teacher.judged([self._prepared[place] for place in taught], out / "opinions")
            for place, one in zip(taught, judged, strict=True):
                self._prepared[place] = one
            self._matching = self._sampled_matching().to(device)
        self._steps = [
            step
            for epoch in range(plan.epochs)
            for step in steps_of_epoch(
                self._prepared, pairs_per_step=plan.pairs_per_step, seed=plan.seed * 1000 + epoch
            )
        ]
        parameters = [*network.parameters(), *(self._matching.parameters() if self._matching is not None else ())]
        self._trained = [parameter for parameter in parameters if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=(0.9, 0.98)
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)
        self._identity = _identity(plan, examples, teacher)
        self._history: list[dict[str, float]] = []

    @property
    def history(self) -> Sequence[dict[str, float]]:
        """Mean losses an example, a row every `checkpoint_steps`."""
        return self._history

    def run(self) -> None:
        """Trains to the end of the plan. A checkpoint is written every `checkpoint_steps`, and at the end."""
        self._out.mkdir(parents=True, exist_ok=True)
        done = self._resume()
        self._network.train()
        columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
        losses: Counter[str] = Counter()
        with (
            Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
            ThreadPoolExecutor(self._microbatches, initializer=_single_threaded) as threads,
        ):
            bar = progress.add_task("", total=len(self._steps), completed=done, loss="")
            for number in range(done, len(self._steps)):
                losses.update(self._step(self._steps[number], threads))
                if (number + 1) % self._plan.checkpoint_steps == 0 or number + 1 == len(self._steps):
                    self._history.append(_means(number + 1, losses))
                    losses.clear()
                    self._checkpoint(number + 1)
                    progress.update(bar, loss=json.dumps(self._history[-1]))
                progress.advance(bar)

    @property
    def _microbatches(self) -> int:
        return self._plan.threads if self._device == "cpu" else 1

    def _step(self, step: Sequence[int], threads: ThreadPoolExecutor) -> Counter[str]:
        parts = [step[i :: self._microbatches] for i in range(self._microbatches)]
        results = list(threads.map(lambda part: self._gradients(part, len(step)), [part for part in parts if part]))
        for place, parameter in enumerate(self._trained):
            gradients = [gradient[place] for gradient, _ in results]
            parameter.grad = torch.stack(gradients).sum(0) if len(gradients) > 1 else gradients[0]
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._schedule.step()
        losses: Counter[str] = Counter({"examples": len(step)})
        for _, parts_of_loss in results:
            losses.update(parts_of_loss)
        return losses

    def _gradients(self, indices: Sequence[int], examples: int) -> tuple[tuple[Tensor, ...], dict[str, float]]:
        """Gradients of one microbatch's share of the step's mean loss. Gradients do not add up in the parameters:
        several threads share them.
        """
        chosen: list[Prepared] = [self._prepared[index] for index in indices]
        windows = [window for one in chosen for window in one.windows]
        targets = [replace(t, example=place) for place, one in enumerate(chosen) for t in one.targets]
        inputs = padded(windows, self._device)
        logits, states = with_states(self._network, *inputs)
        loss, parts = loss_of(logits, targets, OBJECTIVES[self._plan.objective])
        taught = sum(one.targets[0].opinion is not None for one in chosen)
        if self._matching is not None and taught:
            known = torch.tensor([target.opinion is not None for target in targets], device=self._device)
            present = inputs[2].bool() & known[:, None]
            apart, by_depth = self._matching([own[present] for own in states], _wanted(targets))
            loss = loss + STATES_WEIGHT * apart * taught
            parts.update({name: part * taught for name, part in by_depth.items()})
        gradients = torch.autograd.grad(loss / examples, self._trained, allow_unused=True, materialize_grads=True)
        return gradients, parts

    def _sampled_matching(self) -> StateMatching:
        """Fitted to the first window of each of the first examples that the teacher judged, on the CPU."""
        samples: list[list[Tensor]] = []
        sample = [one for one in self._prepared if one.targets[0].opinion is not None][:_MATCHING_SAMPLE]
        with torch.no_grad():
            for one in sample:
                _, states = with_states(self._network, *padded(one.windows[:1], self._device))
                samples.append([own[0].cpu() for own in states])
        return StateMatching(
            [torch.cat(depth) for depth in zip(*samples, strict=True)], _wanted([one.targets[0] for one in sample])
        )

    def _rate(self, step: int) -> float:
        warm = max(1, math.ceil(self._plan.warmup * len(self._steps)))
        return min((step + 1) / warm, max(0.0, (len(self._steps) - step) / max(1, len(self._steps) - warm)))

    def _checkpoint(self, step: int) -> None:
        state = {
            "identity": self._identity,
            "step": step,
            "history": self._history,
            "network": self._network.trained_state(),
            "matching": self._matching.state_dict() if self._matching is not None else {},
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        temporary = self._out / f"{_CHECKPOINT}.new"
        torch.save(state, temporary)
        temporary.replace(self._out / _CHECKPOINT)

    def _resume(self) -> int:
        """The steps done by an earlier run of the same plan; 0 without one."""
        path = self._out / _CHECKPOINT
        if not path.is_file():
            return 0
        state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
        if state["identity"] != self._identity:
            return 0
        self._network.load_trained_state(state["network"])
        if self._matching is not None:
            self._matching.load_state_dict(state["matching"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._history = state["history"]
        return int(state["step"])


def _wanted(targets: Sequence[Target]) -> NDArray[np.float16]:
    """The teacher's states of the targets' tokens, one window after the other."""
    return np.concatenate([target.opinion.states for target in targets if target.opinion is not None], axis=1)


def _identity(plan: TrainingPlan, examples: Sequence[Example], teacher: Teacher | None) -> str:
    digest = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode())
    digest.update(teacher.revision.encode() if teacher else b"")
    for example in examples:
        digest.update(json.dumps(asdict(example), ensure_ascii=False).encode())
    return digest.hexdigest()


def _means(step: int, losses: Counter[str]) -> dict[str, float]:
    examples = losses["examples"]
    return {"step": step, **{name: round(total / examples, 4) for name, total in losses.items() if name != "examples"}}


def _single_threaded() -> None:
    torch.set_num_threads(1)
