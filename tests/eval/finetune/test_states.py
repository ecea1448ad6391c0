"""Hidden states as targets: read at their depth, matched up to a linear map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.finetune.states import DEPTHS, StateMatching, with_states
from ingest.models.windows import PairTokenizer, padded
from tests.ingest.models.tiny import tiny_network, tiny_tokenizer


def test_states_are_read_beside_the_same_logits() -> None:
    """The last ones are those of the heads; two thirds of two layers is the first."""
    network = tiny_network()
    inputs = padded(PairTokenizer(tiny_tokenizer(), 160).windows([("When?", "It leaves at nine."), ("Who?", "No.")]))
    with torch.inference_mode():
        logits, states = with_states(network, *inputs)
        torch.testing.assert_close(logits.starts, network(*inputs).starts)
        whole = network.encoder(
            input_ids=inputs[0], token_type_ids=inputs[1], attention_mask=inputs[2], output_hidden_states=True
        )
    for own, layer in zip(states, (1, 2), strict=True):
        torch.testing.assert_close(own, whole.hidden_states[layer])


def sample(tokens: int = 400) -> tuple[list[torch.Tensor], np.ndarray]:
    """States of a student, and of a teacher that are a linear map of them in coordinates of very different size."""
    draw = torch.Generator().manual_seed(1)
    own = [torch.randn(tokens, 6, generator=draw) for _ in DEPTHS]
    sizes = torch.logspace(-1, 2, 9)
    wanted = [(states @ torch.randn(6, 9, generator=draw) + 3.0) * sizes for states in own]
    return own, torch.stack(wanted).half().numpy()


def test_a_linear_map_of_the_teachers_states_costs_nothing() -> None:
    """From the start, the maps being fitted to the sample."""
    own, wanted = sample()
    total, parts = StateMatching(own, wanted)(own, wanted)
    assert float(total.detach()) < 0.005
    assert set(parts) == {"states_0.67", "states_1.00"}


def test_states_that_have_nothing_in_common_cost_their_variance() -> None:
    """One a coordinate, whatever its size: 1 for the last depth and a half for the other."""
    own, wanted = sample()
    matching = StateMatching([torch.zeros_like(states) for states in own], wanted)
    total, parts = matching([torch.zeros_like(states) for states in own], wanted)
    assert float(total.detach()) == pytest.approx(1.5, abs=0.05)
    assert parts["states_1.00"] == pytest.approx(1.0, abs=0.03)


def test_an_extreme_coordinate_is_no_target() -> None:
    """Beyond six standard deviations it counts as six."""
    own, wanted = sample()
    matching = StateMatching(own, wanted)
    far = wanted.copy()
    far[1, 0] = np.float16(60000)
    _, parts = matching(own, far)
    assert parts["states_1.00"] < 1.0
