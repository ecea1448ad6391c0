"""All weights trained: nothing changes when it begins, and a difference of low rank survives the way back."""

from __future__ import annotations

from pathlib import Path

import torch

from eval.finetune.full_rank import narrowed, release
from eval.finetune.training import Training, TrainingPlan
from ingest.models.network import JointNetwork, Logits
from ingest.models.windows import PairTokenizer, padded
from tests.eval.finetune.test_training import ANSWERABLE, UNANSWERABLE
from tests.ingest.models.tiny import RANK, tiny_base, tiny_network, tiny_tokenizer


def logits_of(network: JointNetwork) -> Logits:
    """Of two pairs."""
    windows = PairTokenizer(tiny_tokenizer(), 160).windows([("When?", "It leaves at nine."), ("Who?", "Nobody.")])
    with torch.inference_mode():
        logits: Logits = network(*padded(windows))
    return logits


def test_released_weights_begin_where_the_adapters_were() -> None:
    """Every adapter in full, every part of its layer trained."""
    network = tiny_network()
    before = logits_of(network)
    layers = len([name for name in network.trained_state() if name.endswith(".up")])
    release(network)
    torch.testing.assert_close(logits_of(network).starts, before.starts)
    torch.testing.assert_close(logits_of(network).no_answer, before.no_answer)
    trained = [name for name, part in network.named_parameters() if part.requires_grad]
    assert len([name for name in trained if name.endswith(".difference")]) == layers > 0
    assert set(trained) == set(network.trained_state())


def test_differences_of_low_rank_come_back_as_they_were() -> None:
    """In adapters of that rank, and in wider ones, of which some may be wider than the layer."""
    network = tiny_network()
    before = logits_of(network)
    release(network)
    for rank in (RANK, 24):
        narrow = JointNetwork(tiny_base(), rank)
        narrow.load_trained_state(narrowed(network.trained_state(), rank))
        torch.testing.assert_close(logits_of(narrow).starts, before.starts)


def test_the_nearest_of_a_rank_is_kept() -> None:
    """By hand: of a diagonal the largest entries."""
    state = {"a.difference": torch.diag(torch.tensor([1.0, 9.0, 4.0])), "span_head.bias": torch.ones(2)}
    narrow = narrowed(state, 2)
    torch.testing.assert_close(narrow["a.up"] @ narrow["a.down"], torch.diag(torch.tensor([0.0, 9.0, 4.0])))
    assert narrow["span_head.bias"] is state["span_head.bias"]


def test_a_released_network_trains_and_goes_on(tmp_path: Path) -> None:
    """The loss falls; a second run of the same plan begins at the end of the first."""

    def run() -> Training:
        network = tiny_network()
        release(network)
        plan = TrainingPlan(pairs_per_step=3, epochs=20, max_tokens=160, learning_rate=1e-2, checkpoint_steps=1)
        tokenizer = PairTokenizer(tiny_tokenizer(), plan.max_tokens)
        return Training(network, tokenizer, [ANSWERABLE, UNANSWERABLE], plan, tmp_path)

    first = run()
    first.run()
    assert first.history[-1]["spans"] < first.history[0]["spans"]
    second = run()
    second.run()
    for name, part in first._network.trained_state().items():
        torch.testing.assert_close(second._network.trained_state()[name], part)
