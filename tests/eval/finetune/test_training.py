"""Batches, losses and the loop: what is learned is what was asked for, and a killed run ends as if it had not been."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
import torch

from eval.finetune.batches import Target, prepare, steps_of_epoch
from eval.finetune.examples import Example
from eval.finetune.objective import Objective, loss_of
from eval.finetune.training import Training, TrainingPlan
from ingest.models.network import Logits
from ingest.models.windows import PairTokenizer
from tests.ingest.models.tiny import tiny_network, tiny_tokenizer

ANSWERABLE = Example("s", "When does it leave?", True, ("Ferry\nIt leaves at nine.", "Cars are green."), (19, 23))
UNANSWERABLE = Example("s", "When does it sink?", False, ("Ferry\nIt leaves at nine.",), None)
DRAW = random.Random(1)  # noqa: S311 - not a secret
PLAN = TrainingPlan(pairs_per_step=3, epochs=4, max_tokens=160, checkpoint_steps=1, threads=2)


def training(out: Path, plan: TrainingPlan = PLAN) -> Training:
    """A run of the tiny network on the two examples, several times over."""
    examples = [ANSWERABLE, UNANSWERABLE] * 3
    return Training(tiny_network(), PairTokenizer(tiny_tokenizer(), plan.max_tokens), examples, plan, out)


def weights(run: Training) -> torch.Tensor:
    """All trained numbers in one row."""
    return torch.cat([tensor.flatten() for tensor in run._network.trained_state().values()])


def test_targets_name_the_tokens_of_the_answer() -> None:
    """The answer in the first passage; the null answer in all others."""
    prepared = prepare(ANSWERABLE, PairTokenizer(tiny_tokenizer(), 160), DRAW)
    window, span = prepared.windows[0], prepared.targets[0].span
    assert span is not None
    begin, end = (window.spans[place - window.first] for place in span)
    assert ANSWERABLE.passages[0][begin.start : end.end] == "nine"
    assert [(target.answers, target.span) for target in prepared.targets[1:]] == [(False, (0, 0))]


def test_a_long_passage_is_trained_on_at_its_answer() -> None:
    """Not at its beginning."""
    passage = "word " * 400 + "nine"
    example = Example("s", "When?", True, (passage,), (2000, 2004))
    prepared = prepare(example, PairTokenizer(tiny_tokenizer(), 160), DRAW)
    window, span = prepared.windows[0], prepared.targets[0].span
    assert span is not None
    assert window.spans[span[0] - window.first].start == 2000


def test_steps_hold_every_example_once_and_few_pairs() -> None:
    """Whatever the order."""
    tokenizer = PairTokenizer(tiny_tokenizer(), 160)
    prepared = [prepare(ANSWERABLE, tokenizer, DRAW) for _ in range(11)]
    steps = steps_of_epoch(prepared, pairs_per_step=6, seed=3)
    assert sorted(index for step in steps for index in step) == list(range(11))
    assert max(len(step) for step in steps) == 3
    assert steps == steps_of_epoch(prepared, pairs_per_step=6, seed=3)


def test_losses_are_those_of_the_definitions() -> None:
    """Uniform logits: ln 2 over two passages, ln 2 for a refusal, ln(tokens) for a span; weights count."""
    logits = Logits(torch.zeros(2), torch.zeros(2), torch.zeros(2, 8), torch.zeros(2, 8))
    targets = [Target(0, True, (3, 4), 1.0), Target(0, False, (0, 0), 0.5)]
    total, parts = loss_of(logits, targets, Objective())
    assert parts["relevance"] == pytest.approx(math.log(2))
    assert parts["no_answer"] == pytest.approx(1.5 * math.log(2))
    assert parts["spans"] == pytest.approx(1.5 * math.log(8))
    assert float(total) == pytest.approx(sum(parts.values()))


def test_an_unanswerable_question_ranks_nothing() -> None:
    """There is no passage to be put first."""
    logits = Logits(torch.tensor([1.0]), torch.zeros(1), torch.zeros(1, 4), torch.zeros(1, 4))
    assert loss_of(logits, [Target(0, False, (0, 0), 1.0)], Objective())[1]["relevance"] == 0


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    """On what it is trained on."""
    run = training(tmp_path, TrainingPlan(pairs_per_step=6, epochs=30, max_tokens=160, learning_rate=1e-2))
    run.run()
    first, last = run.history[0], run.history[-1]
    assert last["spans"] < first["spans"]


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, order and schedule go on from the last checkpoint."""
    whole = training(tmp_path / "whole")
    whole.run()
    killed = training(tmp_path / "killed")
    write = killed._checkpoint

    def write_and_die(step: int) -> None:
        write(step)
        if step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(killed, "_checkpoint", write_and_die)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = training(tmp_path / "killed")
    resumed.run()
    torch.testing.assert_close(weights(resumed), weights(whole))
    assert resumed.history == whole.history


def test_a_checkpoint_of_another_plan_is_not_gone_on_from(tmp_path: Path) -> None:
    """Half of one recipe and half of another is neither."""
    training(tmp_path).run()
    other = training(tmp_path, TrainingPlan(pairs_per_step=3, max_tokens=160, checkpoint_steps=1, seed=8))
    assert other._resume() == 0
