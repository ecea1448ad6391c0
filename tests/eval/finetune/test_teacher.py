"""The teacher: it reads the student's windows as its own, is asked once a window, and its opinion is learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertTokenizer, DistilBertConfig, MPNetConfig, MPNetModel, MPNetTokenizer

from eval.finetune.batches import Opinion, Target, prepare
from eval.finetune.examples import Example
from eval.finetune.objective import OPINION_SHARE, Objective, loss_of
from eval.finetune.states import with_states
from eval.finetune.teacher import Teacher, load_teacher
from eval.finetune.training import Training, TrainingPlan
from ingest.errors import Unavailable
from ingest.models.network import Logits
from ingest.models.windows import PairTokenizer, padded
from tests.eval.finetune.test_training import ANSWERABLE, DRAW, UNANSWERABLE
from tests.ingest.models.tiny import tiny_base, tiny_network, tiny_tokenizer

NO_STATES = np.empty((0, 0, 0), np.float16)
_SPECIAL = ("<s>", "<pad>", "</s>", "<mask>")


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained MPNet of three narrow layers, BERT's word pieces in the reverse order."""
    folder = tmp_path_factory.mktemp("teacher")
    pieces = [piece for piece, _ in sorted(tiny_tokenizer().get_vocab().items(), key=lambda item: -item[1])]
    MPNetTokenizer(vocab={piece: place for place, piece in enumerate((*_SPECIAL, *pieces))}).save_pretrained(folder)
    shape = MPNetConfig(
        vocab_size=len(pieces) + len(_SPECIAL),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    MPNetModel(shape, add_pooling_layer=False).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> Any:
    """The network of the teacher in `folder`."""
    return load_teacher(str(folder), tiny_tokenizer().get_vocab(), rank=2, dtype=torch.float32)


def test_the_students_windows_are_read_in_the_teachers_vocabulary(larger: Path) -> None:
    """With its own ids, markers and padding."""
    tokenizer = PairTokenizer(tiny_tokenizer(), 160)
    windows = tokenizer.windows([("When does it leave?", "It leaves at nine."), ("When?", "At nine.")])
    own = MPNetTokenizer.from_pretrained(larger)
    texts = [
        ["<s>", *own.tokenize(question), "</s>", *own.tokenize(passage), "</s>"]
        for question, passage in (("When does it leave?", "It leaves at nine."), ("When?", "At nine."))
    ]
    longest = max(map(len, texts))
    ids = torch.tensor([own.convert_tokens_to_ids([*text, *["<pad>"] * (longest - len(text))]) for text in texts])
    network = loaded(larger).eval()
    with torch.inference_mode():
        plain = MPNetModel.from_pretrained(larger, add_pooling_layer=False).eval()
        expected = plain(input_ids=ids, attention_mask=(ids != own.pad_token_id).long()).last_hidden_state
        asked, segments, mask = padded(windows)
        found = network.encoder(input_ids=asked, token_type_ids=segments, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found[mask.bool()], expected[mask.bool()], atol=1e-4, rtol=1e-4)


def test_the_lowest_third_of_the_layers_is_not_trained(larger: Path) -> None:
    """All of them have adapters, which do nothing there."""
    trained = {name for name, parameter in loaded(larger).named_parameters() if parameter.requires_grad}
    assert {name.split(".layer.")[1][0] for name in trained if ".layer." in name} == {"1", "2"}


def test_a_model_of_other_word_pieces_is_refused(larger: Path) -> None:
    """What it says of its tokens would be about other tokens."""
    with pytest.raises(Unavailable, match="word pieces"):
        load_teacher(str(larger), {f"piece{i}": i for i in range(300)}, rank=2, dtype=torch.float32)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    """By its name, before its weights are read."""
    DistilBertConfig().save_pretrained(tmp_path)
    with pytest.raises(Unavailable, match="distilbert"):
        load_teacher(str(tmp_path), {}, rank=2, dtype=torch.float32)


def test_a_bert_teaches_too(tmp_path: Path) -> None:
    """It gets the segments, which MPNet has none of: the passage's token says something else in the other one."""
    tiny_base().save_pretrained(tmp_path)
    BertTokenizer(vocab=tiny_tokenizer().get_vocab()).save_pretrained(tmp_path)
    network = loaded(tmp_path).eval()
    ids, segments, mask = padded(PairTokenizer(tiny_tokenizer(), 160).windows([("When?", "It leaves at nine.")]))
    with torch.inference_mode():
        expected = tiny_base()(input_ids=ids, token_type_ids=segments, attention_mask=mask).last_hidden_state
        found = network.encoder(input_ids=ids, token_type_ids=segments, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found, expected)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Not a stack trace of a library."""
    with pytest.raises(Unavailable, match="nowhere"):
        load_teacher(str(tmp_path / "nowhere"), {}, rank=2, dtype=torch.float32)


def test_every_window_gets_the_opinion_of_it(larger: Path, tmp_path: Path) -> None:
    """In whatever order and company it is read."""
    tokenizer = PairTokenizer(tiny_tokenizer(), 160)
    long = Example("s", "When?", False, ("word " * 100,), None)
    prepared = [prepare(example, tokenizer, DRAW) for example in (ANSWERABLE, long, UNANSWERABLE) * 9]
    network = loaded(larger)
    judged = Teacher(network).judged(prepared, tmp_path)
    for one in judged:
        for window, target in zip(one.windows, one.targets, strict=True):
            with torch.inference_mode():
                alone, states = with_states(network, *padded([window]))
            assert target.opinion is not None
            assert target.opinion.no_answer == pytest.approx(float(alone.no_answer), abs=1e-4)
            np.testing.assert_allclose(target.opinion.starts, alone.starts[0].softmax(0), atol=1e-3)
            np.testing.assert_allclose(target.opinion.ends, alone.ends[0].softmax(0), atol=1e-3)
            np.testing.assert_allclose(target.opinion.states, torch.cat(states), atol=1e-2)
    assert [one.targets for one in judged] == [one.targets for one in prepared]


def test_the_teacher_is_asked_once(larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on reads what it said; another teacher is asked anew."""
    prepared = [prepare(ANSWERABLE, PairTokenizer(tiny_tokenizer(), 160), DRAW)]
    first = Teacher(loaded(larger)).judged(prepared, tmp_path)
    asked: list[int] = []
    ask = Teacher._ask

    def counting(self: Teacher, windows: Sequence[Any]) -> Any:
        asked.append(len(windows))
        return ask(self, windows)

    monkeypatch.setattr(Teacher, "_ask", counting)
    torch.manual_seed(1)
    network = loaded(larger)
    other = Teacher(network)
    other.judged(prepared, tmp_path)
    assert asked == [2]
    again = other.judged(prepared, tmp_path)
    assert asked == [2]
    for states in tmp_path.glob("*.npy"):
        states.unlink()
    other.judged(prepared, tmp_path)
    assert asked == [2, 2]
    refusals = [one[0].targets[0].opinion.no_answer for one in (again, first) if one[0].targets[0].opinion is not None]
    assert refusals[0] != refusals[1]


def test_targets_are_halfway_between_label_and_opinion() -> None:
    """By hand: uniform logits over eight tokens, an opinion that is sure of token 5 and half sure of no answer."""
    logits = Logits(torch.zeros(1), torch.zeros(1), torch.zeros(1, 8), torch.zeros(1, 8))
    sure = np.eye(8, dtype=np.float16)[5]
    _, parts = loss_of(logits, [Target(0, True, (3, 3), 1.0, Opinion(0.0, sure, sure, NO_STATES))], Objective())
    entropy = -OPINION_SHARE * math.log(OPINION_SHARE) - (1 - OPINION_SHARE) * math.log(1 - OPINION_SHARE)
    assert parts["spans"] == pytest.approx(math.log(8) - entropy)
    assert parts["no_answer"] == pytest.approx(math.log(2))


def test_an_unknown_span_is_learned_from_the_opinion_alone() -> None:
    """An answer that is not literal has no label; padding of a longer neighbour gets nothing."""
    wanted = torch.full((1, 10), float("-inf"))
    wanted[0, 4] = 0.0
    logits = Logits(torch.zeros(1), torch.zeros(1), wanted, wanted)
    sure = np.eye(8, dtype=np.float16)[4]
    _, parts = loss_of(logits, [Target(0, True, None, 1.0, Opinion(0.0, sure, sure, NO_STATES))], Objective())
    assert parts["spans"] == 0.0


def test_a_student_comes_to_agree_with_its_teacher(larger: Path, tmp_path: Path) -> None:
    """On passages that say nothing of the answer, where labels are as loud."""
    examples = [Example("s", "When?", True, ("It leaves at nine in the morning.",), None)]
    plan = TrainingPlan(pairs_per_step=2, epochs=60, max_tokens=160, learning_rate=3e-2, checkpoint_steps=1)
    tokenizer = PairTokenizer(tiny_tokenizer(), plan.max_tokens)
    run = Training(tiny_network(), tokenizer, examples, plan, tmp_path, teacher=Teacher(loaded(larger)))
    run.run()
    assert run.history[-1]["spans"] < 0.5 * run.history[0]["spans"]
    assert run.history[-1]["states_1.00"] < 0.9 * run.history[0]["states_1.00"]


def test_what_the_teacher_does_not_know_is_learned_from_labels_alone(larger: Path, tmp_path: Path) -> None:
    """It is not asked about sources that it is no judge of; its states are matched in the others, in the same step."""
    own = replace(ANSWERABLE, source="own")
    plan = TrainingPlan(pairs_per_step=6, epochs=2, max_tokens=160, checkpoint_steps=1, threads=1)
    teacher, tokenizer = Teacher(loaded(larger)), PairTokenizer(tiny_tokenizer(), plan.max_tokens)
    run = Training(
        tiny_network(), tokenizer, [own, UNANSWERABLE, own], plan, tmp_path, teacher=teacher, untaught={"own"}
    )
    known = [one.targets[0].opinion is not None for one in run._prepared]
    assert known == [False, True, False]
    run.run()
    alone = Training(tiny_network(), tokenizer, [UNANSWERABLE], plan, tmp_path / "alone", teacher=teacher)
    alone.run()
    assert run.history[0]["states_1.00"] == pytest.approx(alone.history[0]["states_1.00"] / 3, rel=1e-3)
