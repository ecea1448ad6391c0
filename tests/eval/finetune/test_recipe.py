"""The recipe: what the last stage is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.finetune import recipe
from eval.finetune.examples import Example, write_examples
from ingest.errors import InvalidInput, Unavailable
from ingest.models.adapter import AdapterConfig, load_adapter, save_adapter
from ingest.models.base_model import base_folder, base_sha256, load_base
from ingest.models.network import JointNetwork
from tests.ingest.models.tiny import tiny_base

FAILURE = Example("failures", "Who keeps the light?", False, ("The light is red.",), None)


class Recorded:
    """Stands in for the training itself, whose own tests are beside; keeps what it was given."""

    seen: list[list[Example]] = []  # noqa: RUF012 - filled anew by each test
    history: tuple[Any, ...] = ()

    def __init__(self, network: Any, tokenizer: Any, examples: list[Example], *rest: Any, **options: Any) -> None:
        self.seen.append(list(examples))

    def run(self) -> None:
        pass


class Counting(Recorded):
    """Adds one to the bias of the span head, so that a stage is seen to have been there."""

    def __init__(self, network: Any, *rest: Any, **options: Any) -> None:
        super().__init__(network, *rest, **options)
        self._network = network

    def run(self) -> None:
        with torch.no_grad():
            self._network.span_head.bias += 1


def test_failures_are_trained_on_in_the_last_stage_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `citewell eval export-failures` wrote them."""
    Recorded.seen = []
    path = tmp_path / "failures.jsonl.gz"
    write_examples(path, [FAILURE])
    keys = {source.key for stage in recipe.STAGES for source in stage.sources}
    monkeypatch.setattr(recipe, "mine", lambda *_, **__: {key: [] for key in keys})
    monkeypatch.setattr(recipe, "Training", Recorded)
    recipe.train("joint", tmp_path, tmp_path / "out", failures=path, device="cpu")
    assert [FAILURE in examples for examples in Recorded.seen] == [False] * (len(recipe.STAGES) - 1) + [True]


def test_the_adapter_is_a_mean_of_the_weights_before_and_after_the_last_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stages before did to begin with does not count by itself; after a teacher two parts in three, and
    three in five of what comes in the end.
    """

    keys = {source.key for stage in recipe.STAGES for source in stage.sources}
    monkeypatch.setattr(recipe, "mine", lambda *_, **__: {key: [] for key in keys})
    monkeypatch.setattr(recipe, "Training", Counting)
    saved: list[Any] = []
    monkeypatch.setattr(recipe, "save_adapter", lambda out, config, state: saved.append(state))
    (tmp_path / "out").mkdir()
    recipe.train("joint", tmp_path, tmp_path / "out", device="cpu")
    torch.manual_seed(7)
    begun = JointNetwork(load_base(base_folder(recipe.BASE), dtype=torch.float32), 32).span_head.bias
    torch.testing.assert_close(saved[0]["span_head.bias"], begun + len(recipe.STAGES) - 0.5)
    stages = (*recipe.STAGES, recipe.TEACHER_STAGE, recipe.DISTILLATION_STAGE, recipe.OTHER_WORDS_STAGE)
    monkeypatch.setattr(
        recipe, "mine", lambda *_, **__: {source.key: [] for stage in stages for source in stage.sources}
    )
    monkeypatch.setattr(recipe, "load_teacher", lambda *_, **__: JointNetwork(tiny_base(), 2))
    recipe.train("joint", tmp_path, tmp_path / "out", device="cpu", teacher="larger")
    taught = begun + len(recipe.STAGES) - 0.5 + 2 / 3 + 3 / 5
    torch.testing.assert_close(saved[1]["span_head.bias"], taught)


def test_the_student_learns_from_a_trained_teacher_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher is trained after the three stages; only what follows is given it, and the last the failures again."""
    steps: list[tuple[Any, Any, bool]] = []

    class Noted(Recorded):
        def __init__(self, network: Any, tokenizer: Any, examples: Any, plan: Any, out: Path, **options: Any) -> None:
            steps.append((network, options.get("teacher"), FAILURE in examples))

    larger, path = JointNetwork(tiny_base(), 2), tmp_path / "failures.jsonl.gz"
    write_examples(path, [FAILURE])
    stages = (*recipe.STAGES, recipe.TEACHER_STAGE, recipe.DISTILLATION_STAGE, recipe.OTHER_WORDS_STAGE)
    keys = {source.key for stage in stages for source in stage.sources}
    monkeypatch.setattr(recipe, "mine", lambda *_, **__: {key: [] for key in keys})
    monkeypatch.setattr(recipe, "Training", Noted)
    monkeypatch.setattr(recipe, "load_teacher", lambda *_, **__: larger)
    (tmp_path / "out").mkdir()
    config = recipe.train("joint", tmp_path, tmp_path / "out", device="cpu", failures=path, teacher="larger")
    student = steps[0][0]
    assert [network is student for network, _, _ in steps] == [True, True, True, False, True, True]
    assert steps[3][0] is larger
    assert [teacher is not None for _, teacher, _ in steps] == [False] * 4 + [True, True]
    assert [added for _, _, added in steps] == [False, False, True, False, False, True]
    assert any(name.endswith(".difference") for name in student.trained_state())
    saved = load_adapter(tmp_path / "out")
    assert saved.config == config
    JointNetwork(load_base(base_folder(recipe.BASE), dtype=torch.float32), recipe.TAUGHT_RANK).load_trained_state(
        dict(saved.state)
    )
    assert (tmp_path / "out" / "adapter.safetensors").stat().st_size < 8_000_000


def test_a_run_goes_on_from_an_adapter_of_any_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what a teacher's stage leaves is wider than what the recipe begins with."""
    base = base_folder(recipe.BASE)
    network = JointNetwork(load_base(base, dtype=torch.float32), 5)
    with torch.no_grad():
        network.span_head.bias.fill_(0.25)
    config = AdapterConfig("wide", recipe.BASE, base_sha256(base), 5, 256, ("en",))
    save_adapter(tmp_path / "start", config, network.trained_state())
    keys = {source.key for stage in recipe.STAGES for source in stage.sources}
    monkeypatch.setattr(recipe, "mine", lambda *_, **__: {key: [] for key in keys})
    monkeypatch.setattr(recipe, "Training", Recorded)
    (tmp_path / "out").mkdir()
    ended = recipe.train("joint", tmp_path, tmp_path / "out", device="cpu", start=tmp_path / "start")
    assert ended.rank == 5
    assert load_adapter(tmp_path / "out").state["span_head.bias"].tolist() == [0.25, 0.25]


def test_a_teacher_that_cannot_teach_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mining and three stages take hours: a name that is not there, or a reranker, is no news for the end."""
    monkeypatch.setattr(recipe, "mine", lambda *_, **__: pytest.fail("mined"))
    with pytest.raises(Unavailable, match="nowhere"):
        recipe.train("joint", tmp_path, tmp_path / "out", device="cpu", teacher=str(tmp_path / "nowhere"))
    with pytest.raises(InvalidInput, match="reranker"):
        recipe.train("reranker", tmp_path, tmp_path / "out", device="cpu", teacher="larger")
